/* Small damages to bytes, drawn at random. Included after hrm.h. */
#ifndef HRM_FUZZ_MUTATE_H
#define HRM_FUZZ_MUTATE_H

static size_t fuzz_mutate(unsigned char *data, size_t size, size_t room, hrm_random *r)
{
    /* one to four small damages -> the new size */
    static const uint32_t interesting[] = {0,      1,           0x7f,        0x80,        0xff,       0x7fff,
                                           0xffff, 0x7fffffffu, 0x80000000u, 0xfffffffeu, 0xffffffffu};
    for (uint32_t times = 1 + hrm_random_below(r, 4); times > 0; times--) {
        size_t at = size ? hrm_random_below(r, (uint32_t)size) : 0, n = 1 + hrm_random_below(r, 8), from;
        if (n > size - at) n = size - at;
        switch (hrm_random_below(r, 7)) {
        case 0: if (size) data[at] ^= (unsigned char)(1u << hrm_random_below(r, 8)); break;
        case 1: if (size) data[at] = (unsigned char)hrm_random_below(r, 256); break;
        case 2: /* drop some */
            memmove(data + at, data + at + n, size - at - n);
            size -= n;
            break;
        case 3: /* repeat some */
            if (size + n <= room) {
                memmove(data + at + n, data + at, size - at);
                size += n;
            }
            break;
        case 4: /* copy some elsewhere */
            from = size ? hrm_random_below(r, (uint32_t)size) : 0;
            if (from + n <= size) memmove(data + at, data + from, n);
            break;
        case 5: { /* a number on the edge of something, little-endian */
            uint32_t v = interesting[hrm_random_below(r, (uint32_t)(sizeof interesting / sizeof *interesting))];
            for (size_t i = 0; i < 4 && at + i < size; i++) data[at + i] = (unsigned char)(v >> 8 * i);
            break;
        }
        default: if (hrm_random_below(r, 8) == 0) size = at; /* cut off */
        }
    }
    return size;
}
#endif
