/* A TensorBoard event file is a sequence of records
 *
 *     u64 length | u32 masked crc of the length | data | u32 masked crc of the data          all little-endian (TFRecord)
 *
 * whose data is an Event message of tensorflow/core/util/event.proto, of which we write the fields
 *
 *     Event   1 wall_time double   2 step int64   3 file_version string   5 summary Summary   7 session_log SessionLog
 *     Summary 1 value (repeated)   Value 1 tag string   2 simple_value float      SessionLog 1 status enum (START = 1)
 *
 * in protobuf's encoding: a key (field * 8 + wire type), then a varint (type 0), 8 bytes (1), length and bytes (2), 4 bytes
 * (5).
 */
#if !defined(_WIN32) && !defined(_POSIX_C_SOURCE)
    #define _POSIX_C_SOURCE 200809L
#endif
#include "tensorboard.h"
#include "tool.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#ifndef _WIN32
    #include <unistd.h>
#endif

struct tensorboard {
    FILE    *file;
    char     path[TOOL_PATH];
    uint32_t table[256]; /* of CRC-32C */
};

typedef struct message { unsigned char data[512]; size_t length; } message;

static void put_bytes(message *m, const void *data, size_t n)
{
    if (n > sizeof m->data - m->length) n = sizeof m->data - m->length; /* tags are ours, and short */
    memcpy(m->data + m->length, data, n);
    m->length += n;
}

static void put_little(message *m, uint64_t x, int bytes)
{
    unsigned char b[8];
    for (int i = 0; i < bytes; i++) b[i] = (unsigned char)(x >> (8 * i));
    put_bytes(m, b, (size_t)bytes);
}

static void put_varint(message *m, uint64_t x)
{
    do {
        unsigned char b = (unsigned char)((x & 127) | (x > 127 ? 128u : 0u));
        put_bytes(m, &b, 1);
        x >>= 7;
    } while (x);
}

static void put_key(message *m, unsigned field, unsigned type) { put_varint(m, field << 3 | type); }

static void put_nested(message *m, unsigned field, const void *data, size_t n)
{
    put_key(m, field, 2);
    put_varint(m, n);
    put_bytes(m, data, n);
}

static uint32_t masked_crc(const tensorboard *b, const unsigned char *data, size_t n)
{
    uint32_t crc = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) crc = b->table[(crc ^ data[i]) & 255] ^ crc >> 8;
    crc ^= 0xFFFFFFFFu;
    return (crc >> 15 | crc << 17) + 0xA282EAD8u; /* masked: a crc of data that holds crcs is a weak one */
}

static double wall_time(void)
{
#ifdef _WIN32
    return (double)time(NULL);
#else
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
#endif
}

static void begin_event(message *m, int64_t step)
{
    double now = wall_time();
    uint64_t bits;
    memcpy(&bits, &now, sizeof bits);
    m->length = 0;
    put_key(m, 1, 1);
    put_little(m, bits, 8);
    if (step) {
        put_key(m, 2, 0);
        put_varint(m, (uint64_t)step);
    }
}

static void write_event(tensorboard *b, const message *event)
{
    message head, tail;
    head.length = tail.length = 0;
    put_little(&head, event->length, 8);
    put_little(&head, masked_crc(b, head.data, 8), 4);
    put_little(&tail, masked_crc(b, event->data, event->length), 4);
    fwrite(head.data, 1, head.length, b->file);
    fwrite(event->data, 1, event->length, b->file);
    fwrite(tail.data, 1, tail.length, b->file);
}

int tensorboard_open(tensorboard **out, const char *dir, int64_t first_step)
{
    char name[160], host[64] = "localhost";
    unsigned long process = 0;
    message m;
#ifndef _WIN32
    if (gethostname(host, sizeof host) != 0) strcpy(host, "localhost");
    host[sizeof host - 1] = 0;
    process = (unsigned long)getpid();
#endif
    tensorboard *b = (tensorboard *)calloc(1, sizeof *b);
    if (!b) return tool_say("no memory for TensorBoard's events"), -1;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t crc = i;
        for (int bit = 0; bit < 8; bit++) crc = (crc & 1) ? crc >> 1 ^ 0x82F63B78u : crc >> 1;
        b->table[i] = crc;
    }
    snprintf(name, sizeof name, "events.out.tfevents.%lld.%s.%lu.0", (long long)time(NULL), host, process);
    b->file = tool_join(b->path, dir, name) ? fopen(b->path, "wb") : NULL;
    if (!b->file) {
        tool_say("%s/%s: %s", dir, name, strerror(errno));
        free(b);
        return -1;
    }
    begin_event(&m, 0);
    put_nested(&m, 3, "brain.Event:2", 13);
    write_event(b, &m);
    static const unsigned char start[2] = {1 << 3 | 0, 1}; /* a SessionLog that starts */
    begin_event(&m, first_step);
    put_nested(&m, 7, start, sizeof start);
    write_event(b, &m);
    *out = b;
    return tensorboard_flush(b);
}

void tensorboard_scalar(tensorboard *b, int64_t step, const char *tag, double value)
{
    message event, summary, scalar;
    float f = (float)value;
    uint32_t bits;
    if (!b) return;
    memcpy(&bits, &f, sizeof bits);
    scalar.length = summary.length = 0;
    put_nested(&scalar, 1, tag, strlen(tag));
    put_key(&scalar, 2, 5);
    put_little(&scalar, bits, 4);
    put_nested(&summary, 1, scalar.data, scalar.length);
    begin_event(&event, step);
    put_nested(&event, 5, summary.data, summary.length);
    write_event(b, &event);
}

int tensorboard_flush(tensorboard *b)
{
    if (!b || (fflush(b->file) == 0 && !ferror(b->file))) return 0;
    return tool_say("%s: writing failed: %s", b->path, strerror(errno)), -1;
}

void tensorboard_close(tensorboard *b)
{
    if (!b) return;
    fclose(b->file);
    free(b);
}
