/* `hrm data`: its options, and what the builders share. */
#if !defined(_XOPEN_SOURCE) && !defined(_WIN32)
    #define _XOPEN_SOURCE 700
#endif
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#ifdef __linux__
    #include <fcntl.h>
    #include <sys/syscall.h>
extern long syscall(long, ...); /* hidden by -std=c99 */
#endif
#ifdef _WIN32
    #include <direct.h>
    #define data__mkdir(path) _mkdir(path)
    #define data__rmdir(path) _rmdir(path)
    #define data__stat(path, s) _stat64(path, s)
typedef struct __stat64 data__status;
#else
    #include <unistd.h>
    #define data__mkdir(path) mkdir(path, 0777)
    #define data__rmdir(path) rmdir(path)
    #define data__stat(path, s) stat(path, s)
typedef struct stat data__status;
#endif

#include "data.h"

/* ---- small things -------------------------------------------------------------------------------------------------------- */
void *data_alloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size);
    if (!p) (void)tool_error("no memory for %.0f bytes", (double)count * (double)size);
    return p;
}

uint64_t data_hash(uint64_t hash, const void *bytes, size_t n)
{
    const unsigned char *p = (const unsigned char *)bytes;
    for (size_t i = 0; i < n; i++) hash = (hash ^ p[i]) * 0x100000001b3u;
    return hash;
}

uint64_t data_mix(uint64_t x)
{
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

hrm_random data_random(uint64_t seed, int kind, int split, int64_t item, int64_t part)
{
    hrm_random r = hrm_random_make(seed, (uint64_t)kind << 56 ^ (uint64_t)split << 48 ^ (uint64_t)item);
    r.counter = (uint64_t)part << 32;
    return r;
}

int data_is_utf8(const char *text, size_t n)
{
    const unsigned char *p = (const unsigned char *)text, *end = p + n;
    while (p < end) {
        int more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : -1;
        unsigned second = more > 0 && end - p > 1 ? p[1] : 0; /* too long a form, a surrogate, beyond the last character: */
        if (more < 0 || *p == 0 || end - p <= more || (*p == 0xe0 && second < 0xa0) || (*p == 0xed && second > 0x9f)) return 0;
        if ((*p == 0xf0 && second < 0x90) || (*p == 0xf4 && second > 0x8f)) return 0;
        for (p++; more > 0; more--, p++)
            if ((*p & 0xc0) != 0x80) return 0;
    }
    return 1;
}

int data_table_open(data_table *t, size_t most)
{
    memset(t, 0, sizeof *t);
    for (t->room = 64; t->room < 2 * most;) t->room *= 2;
    t->keys = (uint64_t *)data_alloc(t->room, sizeof *t->keys);
    t->values = (int32_t *)data_alloc(t->room, sizeof *t->values);
    if (t->keys && t->values) return TOOL_OK;
    data_table_close(t);
    return TOOL_ERROR;
}

void data_table_close(data_table *t)
{
    free(t->keys);
    free(t->values);
    memset(t, 0, sizeof *t);
}

int32_t *data_table_find(data_table *t, uint64_t key, int *added)
{
    size_t i = (size_t)data_mix(key) & (t->room - 1);
    if (key == 0) key = 1; /* 0 marks an empty place */
    while (t->keys[i] && t->keys[i] != key) i = (i + 1) & (t->room - 1);
    *added = !t->keys[i];
    if (*added) {
        t->keys[i] = key;
        t->values[i] = -1;
        t->count++;
    }
    return &t->values[i];
}

int data_table_has(const data_table *t, uint64_t key)
{
    size_t i = (size_t)data_mix(key) & (t->room - 1);
    if (key == 0) key = 1;
    while (t->room && t->keys[i] && t->keys[i] != key) i = (i + 1) & (t->room - 1);
    return t->room && t->keys[i];
}

void data_dihedral(uint8_t *out, const uint8_t *grid, int rows, int cols, int t)
{
    int swap = t == 1 || t == 3 || t == 6 || t == 7, R = swap ? cols : rows, C = swap ? rows : cols;
    for (int r = 0; r < R; r++)
        for (int c = 0; c < C; c++) {
            int i = r, j = c; /* where the cell comes from */
            switch (t) {
            case 1: i = c, j = R - 1 - r; break;
            case 2: i = R - 1 - r, j = C - 1 - c; break;
            case 3: i = C - 1 - c, j = r; break;
            case 4: j = C - 1 - c; break;
            case 5: i = R - 1 - r; break;
            case 6: i = c, j = r; break;
            case 7: i = C - 1 - c, j = R - 1 - r; break;
            default: break;
            }
            out[r * C + c] = grid[i * cols + j];
        }
}

int32_t *data_choose(int64_t n, int64_t take, uint64_t seed, int64_t *count)
{
    int32_t *index = (int32_t *)data_alloc((size_t)n, sizeof *index);
    if (!index) return NULL;
    for (int64_t i = 0; i < n; i++) index[i] = (int32_t)i;
    *count = n;
    if (take >= 0 && take < n) {
        hrm_random r = data_random(seed, DATA_SUBSAMPLE, 0, 0, 0);
        hrm_random_shuffle(&r, index, (uint32_t)n);
        *count = take;
    }
    return index;
}

static int data__compare_names(const void *a, const void *b)
{
    const char *const *x = (const char *const *)a, *const *y = (const char *const *)b;
    return strcmp(*x, *y);
}

int data_list(const char *dir, char ***names, size_t *count)
{
    DIR *d = opendir(dir);
    size_t room = 0;
    *names = NULL;
    *count = 0;
    int bad = 0;
    if (!d) return (void)tool_error("%s: %s", dir, strerror(errno)), -1;
    int reason = 0;
    for (struct dirent *e; !bad && (errno = 0, e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0) continue;
        if (*count == room) {
            room = room ? 2 * room : 64;
            char **more = (char **)realloc(*names, room * sizeof *more);
            if (more) *names = more;
            else bad = 1;
        }
        char *name = bad ? NULL : (char *)malloc(strlen(e->d_name) + 1);
        if (name) (*names)[(*count)++] = strcpy(name, e->d_name);
        else bad = 1;
    }
    if (!bad) reason = errno;
    closedir(d);
    if (bad || reason) { /* half a list would be half a data set */
        data_list_free(*names, *count);
        *names = NULL;
        *count = 0;
        return (void)tool_error("%s: %s", dir, bad ? "no memory for its entries" : strerror(reason)), -1;
    }
    if (*count) qsort(*names, *count, sizeof **names, data__compare_names);
    return 0;
}

data_kind data_look(const char *path)
{
    data__status s;
    if (data__stat(path, &s) == 0) return (s.st_mode & S_IFMT) == S_IFDIR ? DATA_FOLDER : DATA_FILE;
    if (errno == ENOENT || errno == ENOTDIR) return DATA_NONE;
    return (void)tool_error("%s: %s", path, strerror(errno)), DATA_UNKNOWN;
}

void data_list_free(char **names, size_t count)
{
    for (size_t i = 0; i < count; i++) free(names[i]);
    free(names);
}

/* ---- the directory ------------------------------------------------------------------------------------------------------- */
int data_stopped(void) { return tool_signal != 0; }

static int data__ends_with(const char *text, const char *end)
{
    size_t n = strlen(text), m = strlen(end);
    return n >= m && strcmp(text + n - m, end) == 0;
}

/* What a build leaves in its directory, a file it was writing when it was killed included; nothing else is ever removed. */
static int data__is_ours(const char *name, int in_split)
{
    if (strstr(name, ".npy.tmp") || strstr(name, ".json.tmp")) return 1;
    if (in_split) return strcmp(name, "dataset.json") == 0 || (strstr(name, "__") && data__ends_with(name, ".npy"));
    return strcmp(name, "train") == 0 || strcmp(name, "test") == 0 || strcmp(name, "identifiers.json") == 0 ||
           strcmp(name, "test_puzzles.json") == 0 || strcmp(name, "vocabulary.json") == 0;
}

static int data__clear(const char *dir, int in_split, int remove_it)
{
    /* -> 0 when `dir` is not there or holds nothing but a data set, with remove_it: and is gone now; 1 when it holds more; -1
     * after it has said what failed */
    char **names, path[TOOL_PATH];
    size_t count;
    int state = 0;
    data_kind kind = data_look(dir);
    if (kind != DATA_FOLDER) return kind == DATA_NONE ? 0 : kind == DATA_FILE ? 1 : -1;
    if (data_list(dir, &names, &count) != 0) return -1;
    for (size_t i = 0; i < count && !state; i++) state = !data__is_ours(names[i], in_split) || !tool_join(path, dir, names[i]);
    for (size_t i = 0; i < count && !state; i++) {
        (void)tool_join(path, dir, names[i]);
        kind = data_look(path);
        if (kind == DATA_UNKNOWN) state = -1;
        else if (kind == DATA_FOLDER) state = in_split ? 1 : data__clear(path, 1, remove_it);
        else if (remove_it && remove(path) != 0) state = -tool_error("%s cannot be removed: %s", path, strerror(errno));
    }
    data_list_free(names, count);
    if (!state && remove_it && data__rmdir(dir) != 0) state = -tool_error("%s cannot be removed: %s", dir, strerror(errno));
    return state;
}

static void data__clear_stale(const data_build *b)
{
    /* what killed builds of this directory left beside it: with the lock they are nobody's, without they may be at work */
    char folder[TOOL_PATH], path[TOOL_PATH], **names;
    const char *base = tool_basename(b->dir);
    size_t count, n = strlen(base);
    if (!tool_directory(folder, b->dir) || data_list(folder, &names, &count) != 0) return;
    for (size_t i = 0; i < count; i++) {
        const char *rest = names[i] + n;
        if (strncmp(names[i], base, n) != 0 || strncmp(rest, ".tmp", 4) != 0 || rest[4 + strspn(rest + 4, "0123456789")])
            continue;
        if (!tool_join(path, folder, names[i]) || !tool_is_directory(path)) continue;
        if (b->lock.alone) (void)data__clear(path, 0, 1);
        else tool_note("%s: of another build, killed or at work: it stays, as no lock tells which", path);
    }
    data_list_free(names, count);
}

static int data__resolve(data_build *b, const char *given)
{
    /* the folder that is meant, without slashes at its end and links: what is renamed must not be a link to it */
    size_t n = strlen(given), room = sizeof b->dir - 32;
    while (n > 1 && (given[n - 1] == '/' || given[n - 1] == '\\')) n--;
    if (n > room) return tool_usage("data: --output-dir is too long");
    snprintf(b->dir, sizeof b->dir, "%.*s", (int)n, given);
    const char *base = tool_basename(b->dir);
    if (!*base || strcmp(base, ".") == 0 || strcmp(base, "..") == 0)
        return tool_usage("data: --output-dir is %s, expected a folder with a name of its own: it is made or replaced", given);
#ifndef _WIN32
    char folder[TOOL_PATH], *real;
    struct stat own, above;
    if (lstat(b->dir, &own) != 0) return TOOL_OK;
    if (S_ISLNK(own.st_mode)) {
        real = realpath(b->dir, NULL);
        if (!real) return tool_error("%s is a link that leads nowhere: %s", b->dir, strerror(errno));
        n = strlen(real);
        if (n <= room) memcpy(b->dir, real, n + 1);
        free(real);
        if (n > room) return tool_error("%s: the path that it leads to is too long", b->dir);
    }
    if (stat(b->dir, &own) == 0 && tool_directory(folder, b->dir) && stat(folder, &above) == 0 && own.st_dev != above.st_dev)
        return tool_error("%s is the root of a file system, which cannot be replaced: choose a folder in it", b->dir);
#endif
    return TOOL_OK;
}

int data_build_open(data_build *b, const data_options *o)
{
    char lock[TOOL_PATH];
    memset(b, 0, sizeof *b);
    int status = data__resolve(b, o->output_dir), state;
    if (status != TOOL_OK) return status;
    int n = (int)strlen(b->dir);
    snprintf(b->old, sizeof b->old, "%.*s.hrm-old", n, b->dir); /* a name that no person picks */
    snprintf(lock, sizeof lock, "%.*s.lock", n, b->dir);
    state = data__clear(b->dir, 0, 0);
    if (state < 0) return TOOL_ERROR;
    if (state) return tool_error("%s is there already and is no data set: remove it or choose another --output-dir", b->dir);
    if (!tool_directory(b->work, b->dir) || tool_make_directories(b->work) != 0)
        return TOOL_ERROR; /* the folder for all of them */
    snprintf(b->work, sizeof b->work, "%.*s.tmp%ld", n, b->dir, tool_process());
    status = tool_lock_take(&b->lock, lock, b->dir);
    if (status != TOOL_OK) return status;
    data__clear_stale(b);
    if (b->lock.alone && tool_is_directory(b->old) &&
        data__clear(b->old, 0, 0) == 0) { /* a build was killed between its two renames */
        if (!tool_exists(b->dir)) {
            if (rename(b->old, b->dir) == 0) tool_note("%s: restored what stood there before a build that was killed", b->dir);
        } else (void)data__clear(b->old, 0, 1);
    }
    if (tool_exists(b->old)) status = tool_error("%s is in the way: remove it", b->old);
    else if (hrm_pool_create(&b->pool, o->threads > 0 ? (int)o->threads : 0, NULL) != HRM_OK) status = tool_failed();
    else if (data__mkdir(b->work) != 0) status = tool_error("%s: the folder could not be made: %s", b->work, strerror(errno));
    if (status == TOOL_OK) {
        b->threads = hrm_pool_size(b->pool);
        return TOOL_OK;
    }
    hrm_pool_destroy(b->pool);
    tool_lock_release(&b->lock);
    return status;
}

static int data__exchange(const char *a, const char *b)
{
    /* two directories change places, at once -> 0, or -1 where the system or the file system cannot */
#if defined(__linux__) && defined(SYS_renameat2)
    return (int)syscall(SYS_renameat2, AT_FDCWD, a, AT_FDCWD, b, 2);
#else
    (void)a, (void)b;
    return -1;
#endif
}

static int data__put_in_place(const data_build *b)
{
    const char *before = b->work; /* where the set before goes */
    int state = data__clear(b->dir, 0, 0);
    if (state) return state > 0 ? tool_error("%s is no data set any more: it stays as it is", b->dir) : TOOL_ERROR;
    if (!tool_exists(b->dir)) {
        if (rename(b->work, b->dir) == 0) return TOOL_OK;
        return tool_error("%s cannot be renamed to %s: %s", b->work, b->dir, strerror(errno));
    }
    if (data__exchange(b->work, b->dir) != 0) {
        before = b->old;
        if (rename(b->dir, b->old) != 0) return tool_error("%s cannot be renamed to %s: %s", b->dir, b->old, strerror(errno));
        if (rename(b->work, b->dir) != 0) {
            int reason = errno;
            (void)rename(b->old, b->dir);
            return tool_error("%s cannot be renamed to %s: %s", b->work, b->dir, strerror(reason));
        }
    }
    if (data__clear(before, 0, 1) != 0) /* the new one stands: that much is done */
        tool_note("%s is complete; what is left in %s of the set before goes with the next build", b->dir, before);
    return TOOL_OK;
}

int data_build_close(data_build *b, int status)
{
    int stopped = data_stopped(); /* from here on it goes to its end */
    hrm_pool_destroy(b->pool);
    b->pool = NULL;
    if (!stopped && status == TOOL_OK) status = data__put_in_place(b);
    if ((stopped || status != TOOL_OK) && tool_exists(b->work)) (void)data__clear(b->work, 0, 1);
    tool_lock_release(&b->lock);
    if (!stopped) return status;
    (void)tool_error("interrupted; nothing was written");
    return 128 + (int)tool_signal;
}

int data_build_text(const data_build *b, const char *name, const char *text)
{
    char path[TOOL_PATH];
    hrm_writer *w;
    if (!tool_join(path, b->work, name)) return tool_error("%s/%s: the path is too long", b->work, name);
    if (hrm_writer_open(&w, path, NULL) != HRM_OK) return tool_failed();
    if (hrm_writer_write(w, text, strlen(text)) != HRM_OK) {
        hrm_writer_abort(w);
        return tool_failed();
    }
    return hrm_writer_commit(w) == HRM_OK ? TOOL_OK : tool_failed();
}

static const char *const data__fields[DATA_FIELDS] = {"inputs", "labels", "puzzle_identifiers", "puzzle_indices",
                                                      "group_indices"};

int data_split_open(data_split *s, const data_build *b, const char *name, int seq_len, hrm_dtype dtype)
{
    memset(s, 0, sizeof *s);
    s->seq_len = seq_len;
    if (!tool_join(s->dir, b->work, name) || strlen(s->dir) + 40 > TOOL_PATH)
        return tool_error("%s: the path is too long", b->work);
    if (tool_make_directories(s->dir) != 0) return TOOL_ERROR;
    for (int f = 0; f < DATA_FIELDS; f++) {
        char path[TOOL_PATH + 40];
        int64_t shape[2] = {0, seq_len};
        snprintf(path, sizeof path, "%s/all__%s.npy", s->dir, data__fields[f]);
        if (hrm_npy_writer_open(&s->file[f], path, f <= DATA_LABELS ? dtype : HRM_I32, f <= DATA_LABELS ? 2 : 1, shape, NULL) !=
            HRM_OK) {
            int status = tool_failed();
            s->file[f].writer = NULL;
            data_split_abort(s);
            return status;
        }
    }
    const int32_t zero = 0;
    if (hrm_npy_writer_write(&s->file[DATA_PUZZLES], &zero, 1) != HRM_OK ||
        hrm_npy_writer_write(&s->file[DATA_GROUPS], &zero, 1) != HRM_OK) {
        data_split_abort(s);
        return tool_failed();
    }
    return TOOL_OK;
}

int data_split_rows(data_split *s, const void *inputs, const void *labels, int64_t rows)
{
    if (rows > INT32_MAX - s->examples) return tool_error("%s: more than 2147483647 examples do not fit the format", s->dir);
    s->examples += rows;
    if (hrm_npy_writer_write(&s->file[DATA_INPUTS], inputs, (size_t)rows) != HRM_OK) return tool_failed();
    return hrm_npy_writer_write(&s->file[DATA_LABELS], labels, (size_t)rows) == HRM_OK ? TOOL_OK : tool_failed();
}

int data_split_puzzle(data_split *s, int32_t identifier, int64_t rows)
{
    s->covered += rows;
    s->puzzles++;
    int32_t end = (int32_t)s->covered;
    if (hrm_npy_writer_write(&s->file[DATA_PUZZLES], &end, 1) != HRM_OK) return tool_failed();
    return hrm_npy_writer_write(&s->file[DATA_IDENTIFIERS], &identifier, 1) == HRM_OK ? TOOL_OK : tool_failed();
}

int data_split_group(data_split *s)
{
    int32_t end = (int32_t)s->puzzles;
    s->groups++;
    return hrm_npy_writer_write(&s->file[DATA_GROUPS], &end, 1) == HRM_OK ? TOOL_OK : tool_failed();
}

int data_split_commit(data_split *s, int vocab_size, int64_t num_identifiers)
{
    char path[TOOL_PATH], text[512];
    int status = TOOL_OK;
    for (int f = 0; f < DATA_FIELDS && status == TOOL_OK; f++) {
        if (hrm_npy_writer_commit(&s->file[f]) != HRM_OK) status = tool_failed();
        s->file[f].writer = NULL;
    }
    snprintf(text, sizeof text,
             "{\"pad_id\": 0, \"ignore_label_id\": 0, \"blank_identifier_id\": 0, \"vocab_size\": %d, \"seq_len\": %d, "
             "\"num_puzzle_identifiers\": %lld, \"total_groups\": %lld, \"mean_puzzle_examples\": %.17g, "
             "\"total_puzzles\": %lld, \"sets\": [\"all\"]}",
             vocab_size, s->seq_len, (long long)num_identifiers, (long long)s->groups,
             (double)s->examples / (double)(s->puzzles ? s->puzzles : 1), (long long)s->puzzles);
    if (status == TOOL_OK && (!tool_join(path, s->dir, "dataset.json") || tool_write_text(path, text, strlen(text)) != 0))
        status = TOOL_ERROR;
    if (status == TOOL_OK)
        tool_note("%s: %lld group%s, %lld puzzle%s, %lld example%s of %d tokens",
                  strrchr(s->dir, '/') ? strrchr(s->dir, '/') + 1 : s->dir, (long long)s->groups, TOOL_S(s->groups),
                  (long long)s->puzzles, TOOL_S(s->puzzles), (long long)s->examples, TOOL_S(s->examples), s->seq_len);
    data_split_abort(s);
    return status;
}

void data_split_abort(data_split *s)
{
    for (int f = 0; f < DATA_FIELDS; f++) {
        if (s->file[f].writer) hrm_npy_writer_abort(&s->file[f]);
        s->file[f].writer = NULL;
    }
}

/* ---- CSV ----------------------------------------------------------------------------------------------------------------- */
enum { DATA_CSV_COLUMNS = 16 };
typedef struct data__field { const char *text; size_t length; } data__field;

static int data__line_ends(const char *p, const char *end) { return p == end || *p == '\n' || *p == '\r'; }

static const char *data__csv_line(const char *p, const char *end, char separator, data__field *fields, int *count)
{
    /* one line -> the start of the next; *count -1: a quote that does not close where the field ends. Doubled quotes within
     * quotes stay as they are. Lines end in LF, CR LF or CR */
    int n = 0;
    for (;; p++) {
        const char *quote = p;
        while (quote < end && *quote == ' ') quote++;
        if (quote < end && *quote == '"') p = quote;
        data__field f = {p, 0};
        if (p < end && *p == '"') {
            f.text = ++p;
            while (p < end && (*p != '"' || (p + 1 < end && p[1] == '"' && p++)) && *p != '\n') p++;
            f.length = (size_t)(p - f.text);
            if (p < end && *p == '"')
                for (p++; p < end && *p == ' ';) p++;
            else f.text = NULL;
            if (!f.text || (!data__line_ends(p, end) && *p != separator)) {
                *count = -1;
                return p;
            }
        } else {
            while (!data__line_ends(p, end) && *p != separator) p++;
            f.length = (size_t)(p - f.text);
        }
        if (n < DATA_CSV_COLUMNS) fields[n] = f;
        n++;
        if (p == end || *p != separator) break;
    }
    *count = n;
    if (p < end && *p == '\r') p++;
    else if (p < end && *p == '\n') return p + 1;
    return p < end && *p == '\n' ? p + 1 : p;
}

static data__field data__trimmed(data__field f)
{
    while (f.length && (*f.text == ' ' || *f.text == '\t')) f.text++, f.length--;
    while (f.length && (f.text[f.length - 1] == ' ' || f.text[f.length - 1] == '\t')) f.length--;
    return f;
}

static int data__field_is(data__field f, const char *names)
{
    /* one of the words in `names`, whatever the case */
    f = data__trimmed(f);
    for (const char *p = names; *p; p += *p == ' ') {
        size_t n = strcspn(p, " "), same = 0;
        while (same < n && same < f.length && (f.text[same] | 32) == p[same]) same++;
        if (same == n && n == f.length) return 1;
        p += n;
    }
    return 0;
}

static int data__csv_read(data_csv *csv, int64_t min_rating, int64_t max_rating)
{
    const char *p = (const char *)csv->map.data, *end = p + csv->map.size;
    data__field f[DATA_CSV_COLUMNS];
    int columns, question = -1, answer = -1, rating = -1;
    char separator = ',';
    size_t room = 0;
    if (csv->map.size >= 3 && memcmp(p, "\xef\xbb\xbf", 3) == 0) p += 3; /* a byte order mark */
    if (p == end) return tool_error("%s: the file is empty", csv->path);
    for (const char *c = p; !data__line_ends(c, end); c++)
        if (*c == ';' || *c == '\t' || *c == ',') { /* the first there is */
            separator = *c;
            break;
        }
    p = data__csv_line(p, end, separator, f, &columns);
    for (int i = 0; i < columns && i < DATA_CSV_COLUMNS; i++) {
        if (question < 0 && data__field_is(f[i], "question q puzzle puzzles quiz quizzes input")) question = i;
        else if (answer < 0 && data__field_is(f[i], "answer a solution solutions output")) answer = i;
        else if (rating < 0 && data__field_is(f[i], "rating difficulty")) rating = i;
    }
    if (question < 0 || answer < 0 || columns > DATA_CSV_COLUMNS)
        return tool_error("%s:1: expected a header that names a question and an answer (or q and a, puzzle and solution, "
                          "quizzes and solutions)",
                          csv->path);
    int rated = min_rating >= 0 || max_rating >= 0;
    if (rating < 0 && rated)
        return tool_error("%s:1: there is no column rating, which --%s-difficulty needs", csv->path,
                          min_rating >= 0 ? "min" : "max");
    for (int64_t line = 2; p < end; line++) {
        int n;
        p = data__csv_line(p, end, separator, f, &n);
        if (n == 1 && columns > 1 && data__trimmed(f[0]).length == 0) continue; /* an empty line */
        if (n < 0)
            return tool_error("%s:%lld: a double quote that does not close at its field's end", csv->path, (long long)line);
        if (n != columns)
            return tool_error("%s:%lld: %d columns, expected %d as in the header", csv->path, (long long)line, n, columns);
        if (csv->length == 0) csv->length = (int64_t)f[question].length;
        for (int k = 0; k < 2; k++) { /* blanks around it; but a maze may well begin with one */
            data__field *field = &f[k ? answer : question], bare = data__trimmed(*field);
            if ((int64_t)bare.length == csv->length) *field = bare;
        }
        if ((int64_t)f[question].length != csv->length || (int64_t)f[answer].length != csv->length || csv->length == 0)
            return tool_error("%s:%lld: question of %zu and answer of %zu characters, expected %lld", csv->path,
                              (long long)line, f[question].length, f[answer].length, (long long)csv->length);
        if (rated) {
            char text[40] = "", *rest;
            data__field r = data__trimmed(f[rating]);
            if (r.length < sizeof text) memcpy(text, r.text, r.length);
            double value = strtod(text, &rest);
            if (rest == text || *rest || !(value - value == 0))
                return tool_error("%s:%lld: the rating \"%.*s\" is no number", csv->path, (long long)line,
                                  (int)(r.length < 60 ? r.length : 60), r.text);
            if (value < (double)min_rating || (max_rating >= 0 && value > (double)max_rating)) continue;
        }
        if ((size_t)csv->count == room) {
            room = room ? 2 * room : 1024;
            data_row *more = (data_row *)realloc(csv->rows, room * sizeof *more);
            if (!more || room > INT32_MAX) return tool_error("%s: no memory for its rows", csv->path);
            csv->rows = more;
        }
        csv->rows[csv->count].question = f[question].text;
        csv->rows[csv->count].answer = f[answer].text;
        csv->rows[csv->count++].line = line;
    }
    if (csv->count > 0) return TOOL_OK;
    if (!rated) return tool_error("%s: no rows", csv->path);
    if (max_rating < 0) return tool_error("%s: no row of a rating of at least %lld", csv->path, (long long)min_rating);
    return tool_error("%s: no row of a rating of %lld to %lld", csv->path, (long long)(min_rating > 0 ? min_rating : 0),
                      (long long)max_rating);
}

int data_csv_open(data_csv *csv, const char *dir, int test, int64_t length, int64_t min_rating,
                  int64_t max_rating)
{
    memset(csv, 0, sizeof *csv);
    csv->length = length;
    data_kind kind = data_look(dir);
    int lone = kind == DATA_FILE; /* one file is the training split */
    if (kind == DATA_UNKNOWN) return TOOL_ERROR;
    if (lone ? snprintf(csv->path, sizeof csv->path, "%s", dir) >= (int)sizeof csv->path
             : !tool_join(csv->path, dir, test ? "test.csv" : "train.csv"))
        return tool_error("%s: the path is too long", dir);
    kind = test && !lone ? data_look(csv->path) : DATA_NONE;
    if (kind == DATA_UNKNOWN) return TOOL_ERROR;
    if (test && kind == DATA_NONE) {
        tool_note("%s: there is no test.csv, so a training set alone is made", dir);
        return TOOL_OK;
    }
    if (hrm_file_map_open(&csv->map, csv->path) != HRM_OK) return tool_failed();
    int status = data__csv_read(csv, min_rating, max_rating);
    if (status != TOOL_OK) data_csv_close(csv);
    return status;
}

void data_csv_close(data_csv *csv)
{
    free(csv->rows);
    hrm_file_map_close(&csv->map);
    memset(csv, 0, sizeof *csv);
}

/* ---- the command --------------------------------------------------------------------------------------------------------- */
static const char data__help[] =
    "usage: hrm data sudoku --output-dir DIR (--source-dir DIR | --generate N)\n"
    "                       [--size 4|6|9] [--subsample-size N] [--num-aug N] ...\n"
    "       hrm data maze   --output-dir DIR (--source-dir DIR | --generate N)\n"
    "                       [--size N] [--subsample-size N] [--aug] [--relabel] ...\n"
    "       hrm data arc    --output-dir DIR --dataset-dirs DIR... [--num-aug N]\n"
    "                       [--size N] [--seed S]\n"
    "       hrm data arc    --output-dir DIR --input-file-prefix PREFIX\n"
    "                       --subsets NAME... --test-set-name NAME ...\n"
    "       hrm data grid   --output-dir DIR --source-dir DIR\n"
    "                       [--tokens characters|words] [--vocabulary FILE]\n"
    "       hrm data --list\n"
    "\n"
    "Builds a data set in the layout that training reads: DIR/{train,test}/. The same\n"
    "seed gives the same bytes, on every machine and with any number of threads. DIR\n"
    "appears when the set is complete. --list names public data sets, their licences\n"
    "and the commands that make such a data set of them.\n"
    "\n"
    "  --output-dir DIR      where to; a data set that is there is replaced\n"
    "  --source-dir DIR      sudoku, maze: train.csv and, if you have one, test.csv,\n"
    "                        with columns question,answer and perhaps source,rating\n"
    "                        (or q and a, puzzle and solution, quizzes and\n"
    "                        solutions); or one such file\n"
    "                        grid: train.json or train.txt, and test.json or test.txt\n"
    "                        if you have one\n"
    "  --generate N          makes N puzzles for training, each with exactly one\n"
    "                        solution (maze: with a long shortest path)\n"
    "  --test-size M         and M for testing [N/10, 1 to 1000]; no solution in\n"
    "                        both, whatever its digits are called\n"
    "  --size S              sudoku: 4, 6 or 9 [9]; maze: the side, 3 or 5 to 128\n"
    "                        [30]; arc: the board's side, 3 to 30 [30]: tasks with a\n"
    "                        larger grid are left out\n"
    "  --givens N            sudoku, generated: stop taking givens away at N [as few\n"
    "                        as possible]\n"
    "  --min-difficulty N    sudoku: only puzzles rated N or more, as sources say;\n"
    "                        of our own it is the dead ends, 254 at most, of a search\n"
    "                        that knows naked and hidden singles, the mean over eight\n"
    "                        orders of the cells\n"
    "  --max-difficulty N    sudoku: only puzzles rated N or less; those generated\n"
    "                        are then of every rating between the two (least 0)\n"
    "  --per-solution N      sudoku, generated and rated: so many puzzles at most\n"
    "                        share a solution, 1 to 16 [16]; hard ones cost more then\n"
    "  --min-path N          maze, generated: cells of the shortest path, both ends\n"
    "                        counted [110 for 30x30, less for smaller]\n"
    "  --subsample-size N    N rows of train.csv, at random [all]\n"
    "  --num-aug N           sudoku [0]: N variants of every training puzzle; arc\n"
    "                        [1000]: N variants of every task\n"
    "  --aug                 maze: the 8 rotations and reflections of every training\n"
    "                        maze\n"
    "  --relabel             maze: every answer is searched anew, of the shortest\n"
    "                        paths the first, down before left, right, up; so\n"
    "                        variants follow one rule and not eight turned ones\n";
static const char data__help_arc[] =
    "  --dataset-dirs DIR... arc: the repository of ARC-AGI or ConceptARC, its data\n"
    "                        folder or one folder of tasks (*.json), or Kaggle's\n"
    "                        *_challenges.json with their *_solutions.json\n"
    "  --input-file-prefix P arc, as the public TRM code has it: the tasks of\n"
    "                        P_NAME_challenges.json and P_NAME_solutions.json, for\n"
    "  --subsets NAME...     each of these names\n"
    "  --test-set-name NAME  the one of them whose test pairs are the test split\n"
    "  --test-set-name2 NAME another one, where it is there [evaluation2]\n"
    "  --tokens KIND         grid: characters or words in text files [words when a\n"
    "                        line of train.txt has a blank in it]\n"
    "  --vocabulary FILE     grid: all tokens in order, one a line, or another set's\n"
    "                        vocabulary.json [those of the examples, sorted]\n"
    "  --seed S              [0; arc 42]\n"
    "  --threads N           [all processors]\n";

static const char data__help_grid[] =
    "\n"
    "grid reads pairs of grids or sequences of tokens, an output of the size of its\n"
    "input, and writes what it found to vocabulary.json, which every checkpoint\n"
    "trained on them carries. Examples of different sizes are padded to the largest;\n"
    "nothing is learned from the padding, nor counted.\n"
    "  JSON: [{\"input\": G, \"output\": G, \"puzzle\": \"name\"}, ...]; G is a list of rows,\n"
    "        a list of tokens, or a text of characters with its rows on lines. Tokens\n"
    "        are numbers or texts; null in an output is not trained on. Examples of\n"
    "        one \"puzzle\", which may be left out, share a puzzle embedding.\n"
    "  text: a sequence is a line `input -> output`; a grid is its input's rows, a\n"
    "        line `->`, its output's rows, an empty line.\n";

static const char data__sets[] =
    "Public data sets, and the commands that turn their files into ours. docs/data.md\n"
    "tells more; tools/fetch-data.sh is part of the sources.\n"
    "\n"
    "sudoku-extreme  3.8 M Sudokus for training, 423 k for testing, easy to hardest\n"
    "  home     https://huggingface.co/datasets/sapientinc/sudoku-extreme\n"
    "  licence  not stated\n"
    "  fetch    tools/fetch-data.sh sudoku-extreme raw/sudoku-extreme\n"
    "  build    hrm data sudoku --source-dir raw/sudoku-extreme --num-aug 1000\n"
    "           --subsample-size 1000 --output-dir data/sudoku-extreme\n"
    "\n"
    "maze-hard  mazes of 30 x 30, 1000 for training and 1000 for testing\n"
    "  home     https://huggingface.co/datasets/sapientinc/maze-30x30-hard-1k\n"
    "  licence  not known to us: see its page\n"
    "  fetch    tools/fetch-data.sh maze-hard raw/maze-hard\n"
    "  build    hrm data maze --source-dir raw/maze-hard --aug --relabel\n"
    "           --output-dir data/maze-hard        (as published: without the two)\n"
    "\n"
    "arc-agi-1  400 tasks for training and 400 for evaluation\n"
    "  home     https://github.com/fchollet/ARC-AGI\n"
    "  licence  Apache 2.0\n"
    "  fetch    tools/fetch-data.sh arc-agi-1 raw/arc-agi-1\n"
    "  build    hrm data arc --dataset-dirs raw/arc-agi-1/data raw/conceptarc/corpus\n"
    "           --output-dir data/arc-agi-1\n"
    "\n"
    "arc-agi-2  1000 tasks for training and 120 for evaluation\n"
    "  home     https://github.com/arcprize/ARC-AGI-2\n"
    "  licence  Apache 2.0\n"
    "  fetch    tools/fetch-data.sh arc-agi-2 raw/arc-agi-2\n"
    "  build    hrm data arc --dataset-dirs raw/arc-agi-2/data\n"
    "           --output-dir data/arc-agi-2\n"
    "\n"
    "conceptarc  160 tasks of 16 concepts, for training beside the others\n"
    "  home     https://github.com/victorvikram/ConceptARC\n"
    "  licence  MIT\n"
    "  fetch    tools/fetch-data.sh conceptarc raw/conceptarc\n"
    "  build    hrm data arc --dataset-dirs raw/conceptarc/corpus\n"
    "           --output-dir data/conceptarc\n"
    "\n"
    "kaggle-1m  1 million easy Sudokus (quizzes,solutions)\n"
    "  home     https://www.kaggle.com/datasets/bryanpark/sudoku\n"
    "  licence  not known to us: see its page\n"
    "  fetch    kaggle datasets download --unzip -p raw/kaggle-1m\n"
    "           -d bryanpark/sudoku\n"
    "  build    hrm data sudoku --source-dir raw/kaggle-1m/sudoku.csv\n"
    "           --output-dir data/kaggle-1m\n"
    "\n"
    "kaggle-3m  3 million Sudokus with a rating (id,puzzle,solution,clues,difficulty)\n"
    "  home     https://www.kaggle.com/datasets/radcliffe/\n"
    "           3-million-sudoku-puzzles-with-ratings\n"
    "  licence  not known to us: see its page\n"
    "  fetch    kaggle datasets download --unzip -p raw/kaggle-3m\n"
    "           -d radcliffe/3-million-sudoku-puzzles-with-ratings\n"
    "  build    hrm data sudoku --source-dir raw/kaggle-3m/sudoku-3m.csv\n"
    "           --output-dir data/kaggle-3m\n"
    "\n"
    "kaggle-9m  9 million Sudokus (puzzle,solution)\n"
    "  home     https://www.kaggle.com/datasets/rohanrao/sudoku\n"
    "  licence  not known to us: see its page\n"
    "  fetch    kaggle datasets download --unzip -p raw/kaggle-9m -d rohanrao/sudoku\n"
    "  build    hrm data sudoku --source-dir raw/kaggle-9m/sudoku.csv\n"
    "           --output-dir data/kaggle-9m\n";

typedef struct data__option { const char *name; int kinds; int64_t *number, low, high; const char **text; } data__option;

static int data__parse_arc(const data_options *o)
{
    int found = 0;
    if (o->num_dataset_dirs == 0 && !o->input_file_prefix && o->num_subsets == 0)
        return tool_usage("data arc: --dataset-dirs is missing");
    if (!o->input_file_prefix != (o->num_subsets == 0) || (!o->input_file_prefix && (o->test_set_name || o->test_set_name2)))
        return tool_usage("data arc: --%s goes with --%s", o->input_file_prefix ? "input-file-prefix"
                                                           : o->num_subsets     ? "subsets"
                                                                                : "test-set-name",
                          o->input_file_prefix ? "subsets" : "input-file-prefix");
    for (int i = 0; i < o->num_subsets; i++) found |= o->test_set_name && strcmp(o->subsets[i], o->test_set_name) == 0;
    if (o->test_set_name && !found)
        return tool_usage("data arc: --test-set-name is %s, which is none of --subsets", o->test_set_name);
    if (o->size > 30) return tool_usage("data arc: --size is %lld, expected 3 to 30", (long long)o->size);
    return TOOL_OK;
}

static int data__parse(data_options *o, int kind, const char *command, int argc, char **argv)
{
    /* kind: 1 sudoku, 2 maze, 4 arc, 8 grid */
    int64_t seed = -1;
    data__option options[] = {
        {"--output-dir", 15, NULL, 0, 0, &o->output_dir},
        {"--source-dir", 11, NULL, 0, 0, &o->source_dir},
        {"--tokens", 8, NULL, 0, 0, &o->tokens},
        {"--input-file-prefix", 4, NULL, 0, 0, &o->input_file_prefix},
        {"--test-set-name", 4, NULL, 0, 0, &o->test_set_name},
        {"--test-set-name2", 4, NULL, 0, 0, &o->test_set_name2},
        {"--vocabulary", 8, NULL, 0, 0, &o->vocabulary},
        {"--generate", 3, &o->generate, 1, 100000000, NULL},
        {"--test-size", 3, &o->test_size, 1, 100000000, NULL},
        {"--subsample-size", 3, &o->subsample_size, 1, INT32_MAX, NULL},
        {"--min-difficulty", 1, &o->min_difficulty, 0, INT32_MAX, NULL},
        {"--max-difficulty", 1, &o->max_difficulty, 0, INT32_MAX - 1, NULL},
        {"--num-aug", 5, &o->num_aug, 0, 1000000, NULL},
        {"--size", 7, &o->size, 3, 128, NULL},
        {"--givens", 1, &o->givens, 1, 81, NULL},
        {"--per-solution", 1, &o->per_solution, 1, SUDOKU_PER_SOLUTION, NULL},
        {"--min-path", 2, &o->min_path, 2, 16384, NULL},
        {"--threads", 15, &o->threads, 1, 1024, NULL},
        {"--seed", 15, &seed, 0, INT64_MAX, NULL},
    };
    const int num_options = (int)(sizeof options / sizeof *options);
    for (int i = 0; i < num_options; i++)
        if (options[i].number) *options[i].number = -1;
    for (int i = 0; i < argc; i++) {
        const char *value = strchr(argv[i], '=');
        size_t n = value ? (size_t)(value - argv[i]) : strlen(argv[i]);
        int aug = strcmp(argv[i], "--aug") == 0, relabel = strcmp(argv[i], "--relabel") == 0;
        if (kind == 2 && (aug || relabel)) {
            o->aug |= aug;
            o->relabel |= relabel;
            continue;
        }
        int dirs = n == 14 && memcmp(argv[i], "--dataset-dirs", 14) == 0;
        if ((dirs || (n == 9 && memcmp(argv[i], "--subsets", 9) == 0)) && kind == 4) {
            const char **list = dirs ? o->dataset_dirs : o->subsets;
            int *count = dirs ? &o->num_dataset_dirs : &o->num_subsets;
            if (value) list[(*count)++] = value + 1;
            while (!value && i + 1 < argc && strncmp(argv[i + 1], "--", 2) != 0) list[(*count)++] = argv[++i];
            continue;
        }
        data__option *found = NULL;
        for (int k = 0; k < num_options; k++)
            if (strlen(options[k].name) == n && memcmp(options[k].name, argv[i], n) == 0) found = &options[k];
        if (!found) return tool_usage("data %s: unknown option %s (hrm data --help lists them)", command, argv[i]);
        if (!(found->kinds & kind)) return tool_usage("data %s: it has no option %s", command, found->name);
        if (value) value++;
        else if (i + 1 < argc) value = argv[++i];
        else return tool_usage("data %s: %s wants a value", command, found->name);
        if (found->text) {
            if (!*value) return tool_usage("data %s: %s is empty", command, found->name);
            *found->text = value;
            continue;
        }
        char *rest;
        errno = 0;
        long long number = strtoll(value, &rest, 10);
        if (rest == value || *rest || errno || number < found->low || number > found->high)
            return tool_usage("data %s: %s is %s, expected a number of %lld to %lld", command, found->name, value,
                              (long long)found->low, (long long)found->high);
        *found->number = number;
    }
    o->seed = seed >= 0 ? (uint64_t)seed : kind == 4 ? 42 : 0;
    if (!o->output_dir) return tool_usage("data %s: --output-dir is missing", command);
    if (kind == 4) {
        int status = data__parse_arc(o);
        if (status != TOOL_OK) return status;
    }
    if (kind == 8 && !o->source_dir) return tool_usage("data grid: --source-dir is missing");
    if (kind < 4) {
        if (!o->source_dir == (o->generate < 0)) return tool_usage("data %s: give either --source-dir or --generate", command);
        if (o->source_dir && (o->test_size >= 0 || o->givens >= 0 || o->per_solution >= 0 || o->min_path >= 0))
            return tool_usage("data %s: %s goes with --generate", command,
                              o->test_size >= 0      ? "--test-size"
                              : o->givens >= 0       ? "--givens"
                              : o->per_solution >= 0 ? "--per-solution"
                                                     : "--min-path");
        if (!o->source_dir && o->subsample_size >= 0)
            return tool_usage("data %s: --subsample-size goes with --source-dir", command);
        if (o->generate >= 0 && o->test_size < 0)
            o->test_size = o->generate < 10 ? 1 : o->generate > 10000 ? 1000 : o->generate / 10;
    }
    if (kind == 1) {
        if (o->size < 0) o->size = 9;
        if (o->size != 4 && o->size != 6 && o->size != 9)
            return tool_usage("data sudoku: --size is %lld, expected 4, 6 or 9", (long long)o->size);
        if (o->givens > o->size * o->size)
            return tool_usage("data sudoku: --givens is %lld, more than the cells", (long long)o->givens);
        if (o->givens >= 0 && (o->min_difficulty > 0 || o->max_difficulty >= 0))
            return tool_usage("data sudoku: --givens and --%s-difficulty exclude each other",
                              o->min_difficulty > 0 ? "min" : "max");
        if (o->per_solution >= 0 && o->min_difficulty <= 0 && o->max_difficulty < 0)
            return tool_usage("data sudoku: --per-solution goes with --min-difficulty or --max-difficulty");
        if (o->max_difficulty >= 0 && o->max_difficulty < o->min_difficulty)
            return tool_usage("data sudoku: --max-difficulty is %lld, less than --min-difficulty",
                              (long long)o->max_difficulty);
        if (!o->source_dir && o->min_difficulty > 254)
            return tool_usage("data sudoku: --min-difficulty is %lld, expected at most 254 for puzzles that are generated",
                              (long long)o->min_difficulty);
    }
    if (kind == 2 && o->source_dir && o->size >= 0) return tool_usage("data maze: --size goes with --generate");
    if (kind == 8 && o->tokens && strcmp(o->tokens, "characters") != 0 && strcmp(o->tokens, "words") != 0)
        return tool_usage("data grid: --tokens is %s, expected characters or words", o->tokens);
    return TOOL_OK;
}

int command_data(int argc, char **argv)
{
    static const char *const names[] = {"sudoku", "maze", "arc", "grid"};
    static int (*const builders[])(const data_options *) = {data_sudoku, data_maze, data_arc, data_grid};
    for (int i = 1; i < argc; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(data__help, stdout);
            fputs(data__help_arc, stdout);
            fputs(data__help_grid, stdout);
            return TOOL_OK;
        }
    if (argc > 1 && strcmp(argv[1], "--list") == 0)
        return argc == 2 ? (fputs(data__sets, stdout), TOOL_OK)
                         : tool_usage("data --list: takes nothing more, but there is %.80s", argv[2]);
    int which = 0;
    if (argc < 2) return tool_usage("data: expected sudoku, maze, arc or grid (hrm data --help)");
    while (which < 4 && strcmp(names[which], argv[1]) != 0) which++;
    if (which == 4) return tool_usage("data: unknown kind %s, expected sudoku, maze, arc or grid", argv[1]);
    data_options o;
    memset(&o, 0, sizeof o);
    o.dataset_dirs = (const char **)data_alloc((size_t)argc, sizeof *o.dataset_dirs);
    o.subsets = (const char **)data_alloc((size_t)argc, sizeof *o.subsets);
    if (!o.dataset_dirs || !o.subsets) return free(o.dataset_dirs), free(o.subsets), TOOL_ERROR;
    int status = data__parse(&o, 1 << which, names[which], argc - 2, argv + 2);
    if (status == TOOL_OK) {
        tool_catch_signals(NULL);
        status = builders[which](&o);
    }
    free(o.dataset_dirs);
    free(o.subsets);
    return status;
}
