#include "arc.h"
#include "progress.h"

#include <errno.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- boards -------------------------------------------------------------------------------------------------------------- */
void arc_crop(arc_board *out, const int32_t *tokens, int side)
{
    int width = side, rows = 0, cols = 0;
    for (int r = 0; r < side && width > 0; r++) {
        int c = 0;
        while (c < width && tokens[r * side + c] >= 2 && tokens[r * side + c] < 2 + ARC_PALETTE) c++;
        width = c;
        if ((r + 1) * width > rows * cols) rows = r + 1, cols = width;
    }
    out->rows = rows, out->cols = cols;
    for (int r = 0; r < rows; r++)
        for (int c = 0; c < cols; c++) out->cells[r * cols + c] = (uint8_t)(tokens[r * side + c] - 2);
}

void arc_undo(arc_board *out, const arc_board *in, int turn, const uint8_t colour[ARC_PALETTE])
{
    uint8_t back[ARC_PALETTE], cells[ARC_MOST_CELLS];
    int t = data_dihedral_inverse[turn], swapped = t == 1 || t == 3 || t >= 6;
    for (int c = 0; c < ARC_PALETTE; c++) back[colour[c]] = (uint8_t)c;
    for (int i = 0; i < in->rows * in->cols; i++) cells[i] = back[in->cells[i]];
    out->rows = swapped ? in->cols : in->rows;
    out->cols = swapped ? in->rows : in->cols;
    data_dihedral(out->cells, cells, in->rows, in->cols, t);
}

int arc_same(const arc_board *a, const arc_board *b)
{
    return a->rows == b->rows && a->cols == b->cols && memcmp(a->cells, b->cells, (size_t)a->rows * (size_t)a->cols) == 0;
}

uint64_t arc_hash(const arc_board *b)
{
    unsigned char size[2];
    size[0] = (unsigned char)b->rows, size[1] = (unsigned char)b->cols;
    return data_mix(data_hash(data_hash(DATA_HASH, size, 2), b->cells, (size_t)b->rows * (size_t)b->cols));
}

/* ---- names and tasks ----------------------------------------------------------------------------------------------------- */
size_t arc_name(const char *name, uint8_t *turn, uint8_t colour[ARC_PALETTE])
{
    static const char *const marks[2] = {"_", "|||"};
    size_t n = strlen(name);
    *turn = 0;
    for (int c = 0; c < ARC_PALETTE; c++) colour[c] = (uint8_t)c;
    for (int k = 0; k < 2; k++) {
        size_t m = strlen(marks[k]), end = 2 * m + 2 + ARC_PALETTE;
        if (n <= end) continue;
        const char *at = name + n - end, *digits = name + n - ARC_PALETTE;
        unsigned seen = 0;
        for (int c = 0; c < ARC_PALETTE; c++)
            if (digits[c] >= '0' && digits[c] <= '9') seen |= 1u << (digits[c] - '0');
        if (seen != 1023 || memcmp(at, marks[k], m) != 0 || at[m] != 't' || at[m + 1] < '0' || at[m + 1] > '7' ||
            memcmp(at + m + 2, marks[k], m) != 0)
            continue;
        *turn = (uint8_t)(at[m + 1] - '0');
        for (int c = 0; c < ARC_PALETTE; c++) colour[c] = (uint8_t)(digits[c] - '0');
        return n - end;
    }
    return n;
}

static int arc_read_board(arc_board *b, const hrm_json *grid, int side, const char *path, const char *name)
{
    int rows = grid->type == HRM_JSON_ARRAY ? (int)grid->count : 0, cols = 0;
    for (const hrm_json *row = rows ? grid->child : NULL; row; row = row->next) {
        if (row == grid->child) cols = row->type == HRM_JSON_ARRAY ? (int)row->count : 0;
        if (rows > side || cols < 1 || cols > side || row->type != HRM_JSON_ARRAY || (int)row->count != cols)
            return tool_error("%s:%d: a grid of %s is no rectangle of 1 to %d rows and columns", path, row->line, name, side);
        for (const hrm_json *cell = row->child; cell; cell = cell->next) {
            if (cell->type != HRM_JSON_NUMBER || !(cell->number >= 0 && cell->number < ARC_PALETTE) ||
                cell->number != (int)cell->number)
                return tool_error("%s:%d: a cell of %s is no colour of 0 to 9", path, cell->line, name);
            b->cells[b->rows * cols + b->cols++] = (uint8_t)cell->number;
        }
        b->rows++, b->cols = 0;
    }
    b->cols = cols;
    return rows ? TOOL_OK : tool_error("%s:%d: %s has a grid without rows", path, grid->line, name);
}

static int arc_read_entry(arc_set *set, arc_entry *t, const hrm_json *j, const char *path)
{
    const hrm_json *part[2] = {hrm_json_get(j, "train"), hrm_json_get(j, "test")};
    for (int k = 0; k < 2; k++)
        if (!part[k] || part[k]->type != HRM_JSON_ARRAY || part[k]->count < 1 || part[k]->count > 16384)
            return tool_error("%s:%d: %s has no list \"%s\"", path, j->line, j->key, k ? "test" : "train");
    t->name = j->key;
    t->num_train = (int)part[0]->count;
    t->num_test = (int)part[1]->count;
    t->first_test = set->num_tests;
    set->num_tests += t->num_test;
    t->pairs = (arc_board *)data_alloc(2 * (part[0]->count + part[1]->count), sizeof *t->pairs);
    if (!t->pairs) return TOOL_ERROR;
    arc_board *to = t->pairs;
    for (int k = 0; k < 2; k++)
        for (const hrm_json *pair = part[k]->child; pair; pair = pair->next, to += 2)
            for (int out = 0; out < 2; out++) {
                const hrm_json *grid = hrm_json_get(pair, out ? "output" : "input");
                if (out && k && (!grid || grid->type == HRM_JSON_NULL)) continue; /* not known */
                if (!grid) return tool_error("%s:%d: a pair of %s is not whole", path, pair->line, j->key);
                int status = arc_read_board(to + out, grid, set->side, path, j->key);
                if (status != TOOL_OK) return status;
            }
    return TOOL_OK;
}

static int arc_read_names(arc_set *set, const data_table *by_name)
{
    char path[TOOL_PATH];
    hrm_json_document *doc;
    if (!tool_join(path, set->dir, "identifiers.json")) return tool_error("%s: the path is too long", set->dir);
    if (hrm_json_open(&doc, path, NULL) != HRM_OK) return tool_failed();
    const hrm_json *root = hrm_json_root(doc);
    int status = root->type == HRM_JSON_ARRAY && root->count ? TOOL_OK : tool_error("%s: no list of names", path);
    if (status == TOOL_OK) {
        set->num_ids = (int64_t)root->count;
        set->ids = (arc_variant_of *)data_alloc(root->count, sizeof *set->ids);
        if (!set->ids) status = TOOL_ERROR;
    }
    arc_variant_of *v = set->ids;
    for (const hrm_json *j = status == TOOL_OK ? root->child : NULL; j && status == TOOL_OK; j = j->next, v++) {
        v->entry = -1;
        if (j->type != HRM_JSON_STRING) {
            status = tool_error("%s:%d: something that is no name", path, j->line);
            continue;
        }
        size_t n = arc_name(j->string, &v->turn, v->colour);
        v->plain = (uint8_t)(j->string[n] == 0);
        uint64_t hash = data_hash(DATA_HASH, j->string, n);
        if (!data_table_has(by_name, hash)) continue;
        int added;
        int32_t e = *data_table_find((data_table *)(uintptr_t)by_name, hash, &added); /* it is there: nothing changes */
        if (strlen(set->entries[e].name) == n && memcmp(set->entries[e].name, j->string, n) == 0) v->entry = e;
    }
    hrm_json_close(doc);
    return status;
}

int arc_set_is(const char *dir)
{
    char path[TOOL_PATH];
    return tool_join(path, dir, "test_puzzles.json") && tool_exists(path) && tool_join(path, dir, "identifiers.json") &&
           tool_exists(path);
}

int arc_set_open(arc_set *set, const char *dir, int side, int names)
{
    char path[TOOL_PATH];
    data_table by_name;
    memset(set, 0, sizeof *set);
    memset(&by_name, 0, sizeof by_name);
    set->side = side;
    if (!tool_join(path, dir, "test_puzzles.json")) return tool_error("%s: the path is too long", dir);
    snprintf(set->dir, sizeof set->dir, "%s", dir);
    if (hrm_json_open(&set->doc, path, NULL) != HRM_OK) return tool_failed();
    const hrm_json *root = hrm_json_root(set->doc);
    int status = TOOL_OK;
    if (root->type != HRM_JSON_OBJECT || root->count < 1) status = tool_error("%s: no task is in it", path);
    else if (!(set->entries = (arc_entry *)data_alloc(root->count, sizeof *set->entries))) status = TOOL_ERROR;
    if (status == TOOL_OK) status = data_table_open(&by_name, root->count);
    for (const hrm_json *j = status == TOOL_OK ? root->child : NULL; j && status == TOOL_OK; j = j->next) {
        int added;
        int32_t *number = data_table_find(&by_name, data_hash(DATA_HASH, j->key, strlen(j->key)), &added);
        if (!added) {
            status = tool_error("%s:%d: a second task %s", path, j->line, j->key);
            continue;
        }
        *number = set->num_entries;
        status = arc_read_entry(set, &set->entries[set->num_entries++], j, path);
    }
    if (status == TOOL_OK && names) status = arc_read_names(set, &by_name);
    data_table_close(&by_name);
    if (status != TOOL_OK) arc_set_close(set);
    return status;
}

void arc_set_close(arc_set *set)
{
    for (int i = 0; set->entries && i < set->num_entries; i++) free(set->entries[i].pairs);
    free(set->entries);
    free(set->ids);
    hrm_json_close(set->doc);
    memset(set, 0, sizeof *set);
}

static const arc_entry *arc_entry_of(const arc_set *set, int test)
{
    int low = 0, high = set->num_entries - 1; /* the last whose first test is not past it */
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (set->entries[middle].first_test <= test) low = middle;
        else high = middle - 1;
    }
    return &set->entries[low];
}

const arc_board *arc_test(const arc_set *set, int test, int output)
{
    const arc_entry *t = arc_entry_of(set, test);
    return &t->pairs[2 * (t->num_train + test - t->first_test) + output];
}

/* ---- predictions ----------------------------------------------------------------------------------------------------------
 * A head of 512 bytes, which says whose predictions these are, with two places that say by turns how far they are good: the
 * records reach the disk before such a place is written, and a place that was not written whole is known by its sum. A record:
 * q_halt, rows, columns, two cells a byte. Numbers as this machine has them; another one's file is none of its own. */
enum { ARC_HEAD = 512, ARC_PLACE = 128, ARC_BETWEEN = 192 };
typedef struct arc_head { char magic[8]; uint64_t order, fingerprint; int64_t total, side; } arc_head;
typedef struct arc_place { uint64_t sequence; int64_t done; double metrics[8]; uint64_t sum; } arc_place;

#define ARC_METRICS(X) X(rows) X(count) X(accuracy) X(exact_accuracy) X(q_halt_accuracy) X(steps) X(lm_loss) X(q_halt_loss)
static size_t arc_record_bytes(int side) { return 6 + ((size_t)(side * side) + 1) / 2; }
static uint64_t arc_place_sum(const arc_place *p) { return data_mix(data_hash(DATA_HASH, p, offsetof(arc_place, sum))); }

static int arc_failed(const arc_predictions *p, const char *what)
{
    return tool_error("%s: %s failed: %s", p->path, what, errno ? strerror(errno) : "it is too short");
}

static int arc_seek(arc_predictions *p, int64_t row)
{
    int64_t at = ARC_HEAD + row * (int64_t)arc_record_bytes(p->side);
    if (at > LONG_MAX) return tool_error("%s: more predictions than a file can hold here", p->path);
    errno = 0;
    return fseek((FILE *)p->file, (long)at, SEEK_SET) == 0 ? TOOL_OK : arc_failed(p, "seeking");
}

static int arc_take(arc_predictions *p, const arc_head *want)
{
    /* -> 1: the file is of the same predictions, and tells how many are done */
    arc_head head;
    arc_place place;
    int good = 0;
    FILE *f = (FILE *)p->file;
    if (fread(&head, sizeof head, 1, f) != 1 || memcmp(&head, want, sizeof head) != 0) return 0;
    for (int k = 0; k < 2; k++) {
        if (fseek(f, ARC_PLACE + k * ARC_BETWEEN, SEEK_SET) != 0 || fread(&place, sizeof place, 1, f) != 1) continue;
        if (place.sum != arc_place_sum(&place) || place.done < 0 || place.done > p->total || place.sequence < p->sequence)
            continue;
        good = 1;
        p->sequence = place.sequence;
        p->done = place.done;
        int i = 0;
#define TAKE(field) p->metrics.field = place.metrics[i++];
        ARC_METRICS(TAKE)
#undef TAKE
    }
    if (!good || fseek(f, 0, SEEK_END) != 0) return 0;
    return ftell(f) >= (long)(ARC_HEAD + p->done * (int64_t)arc_record_bytes(p->side));
}

int arc_predictions_open(arc_predictions *p, const char *folder, uint64_t fingerprint, int side, int64_t total, int fresh)
{
    char lock[TOOL_PATH];
    arc_head head;
    memset(p, 0, sizeof *p);
    p->side = side;
    p->total = total;
    if (!tool_join(p->path, folder, "predictions.arc") || !tool_join(lock, folder, "predictions.lock"))
        return tool_error("%s: the path is too long", folder);
    if (tool_make_directories(folder) != 0) return TOOL_ERROR;
    int status = tool_lock_take(&p->lock, lock, folder);
    if (status != TOOL_OK) return status;
    memset(&head, 0, sizeof head);
    memcpy(head.magic, "hrm.arc1", 8);
    head.order = 0x0102030405060708u;
    head.fingerprint = fingerprint;
    head.total = total;
    head.side = side;
    errno = 0;
    p->file = fopen(p->path, "r+b");
    if (!p->file && errno != ENOENT) return arc_failed(p, "opening");
    if (p->file && (fresh || !arc_take(p, &head))) {
        if (!fresh) tool_note("%s is of other weights, data or settings: begun anew", p->path);
        fclose((FILE *)p->file);
        p->file = NULL;
        p->done = 0, p->sequence = 0;
        memset(&p->metrics, 0, sizeof p->metrics);
    }
    if (p->file) {
        if (p->done) tool_note("%s: %lld of %lld predictions are there", p->path, (long long)p->done, (long long)total);
        p->written = p->done;
        return arc_seek(p, p->done);
    }
    static const char zeros[ARC_HEAD];
    p->file = fopen(p->path, "w+b");
    if (!p->file || fwrite(zeros, 1, ARC_HEAD, (FILE *)p->file) != ARC_HEAD || fseek((FILE *)p->file, 0, SEEK_SET) != 0 ||
        fwrite(&head, sizeof head, 1, (FILE *)p->file) != 1)
        return arc_failed(p, "writing");
    return arc_seek(p, 0);
}

int arc_predictions_add(arc_predictions *p, const int32_t *tokens, float q_halt)
{
    unsigned char record[6 + ARC_MOST_CELLS / 2 + 1];
    arc_board b;
    memset(record, 0, sizeof record);
    arc_crop(&b, tokens, p->side);
    memcpy(record, &q_halt, 4);
    record[4] = (unsigned char)b.rows, record[5] = (unsigned char)b.cols;
    for (int i = 0; i < b.rows * b.cols; i++) record[6 + i / 2] |= (unsigned char)(b.cells[i] << 4 * (i % 2));
    errno = 0;
    if (fwrite(record, arc_record_bytes(p->side), 1, (FILE *)p->file) != 1) return arc_failed(p, "writing");
    p->written++;
    return TOOL_OK;
}

int arc_predictions_flush(arc_predictions *p, const hrm_metrics *metrics)
{
    arc_place place;
    FILE *f = (FILE *)p->file;
    int i = 0;
    memset(&place, 0, sizeof place);
    place.sequence = ++p->sequence;
    place.done = p->done = p->written;
    p->metrics = *metrics;
#define PUT(field) place.metrics[i++] = metrics->field;
    ARC_METRICS(PUT)
#undef PUT
    place.sum = arc_place_sum(&place);
    errno = 0;
    if (tool_sync(f) != 0 || fseek(f, ARC_PLACE + (long)(p->sequence % 2) * ARC_BETWEEN, SEEK_SET) != 0 ||
        fwrite(&place, sizeof place, 1, f) != 1 || tool_sync(f) != 0)
        return arc_failed(p, "writing");
    return arc_seek(p, p->done);
}

int arc_predictions_read(arc_predictions *p, int64_t row, arc_board *board, float *q_halt)
{
    /* rows one after the other without a seek */
    unsigned char record[6 + ARC_MOST_CELLS / 2 + 1];
    int status = row == p->written && row > 0 ? TOOL_OK : arc_seek(p, row);
    if (status != TOOL_OK) return status;
    errno = 0;
    if (fread(record, arc_record_bytes(p->side), 1, (FILE *)p->file) != 1) return arc_failed(p, "reading");
    p->written = row + 1;
    memcpy(q_halt, record, 4);
    board->rows = record[4], board->cols = record[5];
    int bad = board->rows > p->side || board->cols > p->side || !board->rows != !board->cols;
    for (int i = 0; !bad && i < board->rows * board->cols; i++) {
        board->cells[i] = record[6 + i / 2] >> 4 * (i % 2) & 15;
        bad = board->cells[i] >= ARC_PALETTE;
    }
    return bad ? tool_error("%s: prediction %lld is damaged; remove the file", p->path, (long long)row) : TOOL_OK;
}

void arc_predictions_close(arc_predictions *p)
{
    if (p->file) fclose((FILE *)p->file);
    tool_lock_release(&p->lock);
    memset(p, 0, sizeof *p);
}

/* ---- votes --------------------------------------------------------------------------------------------------------------- */
static int arc_by_answer(const void *a, const void *b)
{
    const arc_vote *x = (const arc_vote *)a, *y = (const arc_vote *)b;
    if (x->test != y->test) return x->test < y->test ? -1 : 1;
    if (x->answer != y->answer) return x->answer < y->answer ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

static int arc_by_votes(const void *a, const void *b)
{
    const arc_answer *x = (const arc_answer *)a, *y = (const arc_answer *)b;
    if (x->votes != y->votes) return x->votes > y->votes ? -1 : 1;
    if (x->confidence != y->confidence) return x->confidence > y->confidence ? -1 : 1;
    return x->row < y->row ? -1 : x->row > y->row;
}

int arc_count(arc_score *score, const arc_set *set, arc_vote *votes, int64_t n, const uint8_t *plain_voted,
              const uint8_t *plain_right)
{
    memset(score, 0, sizeof *score);
    score->ballots = (arc_ballot *)data_alloc((size_t)set->num_tests, sizeof *score->ballots);
    score->answers = (arc_answer *)data_alloc(n ? (size_t)n : 1, sizeof *score->answers);
    if (!score->ballots || !score->answers) return 0;
    if (n) qsort(votes, (size_t)n, sizeof *votes, arc_by_answer);
    for (int64_t i = 0; i < n;) {
        arc_ballot *b = &score->ballots[votes[i].test];
        int test = votes[i].test;
        b->answers = score->answers + score->num_answers;
        while (i < n && votes[i].test == test) {
            arc_answer *a = &b->answers[b->count++];
            a->answer = votes[i].answer;
            a->row = votes[i].row;
            for (; i < n && votes[i].test == test && votes[i].answer == a->answer; i++)
                a->votes++, a->confidence += (double)votes[i].confidence;
            a->confidence /= a->votes;
            b->votes += a->votes;
        }
        score->num_answers += b->count;
        qsort(b->answers, (size_t)b->count, sizeof *b->answers, arc_by_votes);
    }
    for (int e = 0; e < set->num_entries; e++) {
        const arc_entry *t = &set->entries[e];
        int known = 1, worst = 0, plain = 1;
        for (int k = t->first_test; k < t->first_test + t->num_test; k++) {
            arc_ballot *b = &score->ballots[k];
            const arc_board *truth = arc_test(set, k, 1);
            uint64_t hash = arc_hash(truth);
            b->rank = -1;
            b->voted = plain_voted[k], b->plain_right = plain_right[k];
            for (int i = 0; i < b->count && truth->rows && b->rank < 0; i++)
                if (b->answers[i].answer == hash) b->rank = i;
            known &= b->count > 0 && truth->rows > 0;
            if (b->rank < 0) worst = INT_MAX;
            else if (b->rank > worst) worst = b->rank;
            plain &= b->plain_right;
        }
        if (!known) continue;
        score->tasks++;
        score->plain += plain;
        for (int k = 0; k < ARC_KS; k++) score->solved[k] += worst < arc_ks[k];
        for (int k = t->first_test; k < t->first_test + t->num_test; k++) {
            score->tests++;
            score->solved_tests += score->ballots[k].rank >= 0 && score->ballots[k].rank < 2;
        }
    }
    return 1;
}

void arc_score_free(arc_score *score)
{
    free(score->ballots);
    free(score->answers);
    memset(score, 0, sizeof *score);
}

/* ---- writing ------------------------------------------------------------------------------------------------------------- */
static void arc_put(hrm_writer *w, const char *text) { (void)hrm_writer_write(w, text, strlen(text)); } /* commit tells */

static void arc_put_text(hrm_writer *w, const char *text)
{
    char out[8];
    arc_put(w, "\"");
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\') snprintf(out, sizeof out, "\\%c", c);
        else if (c < 32) snprintf(out, sizeof out, "\\u%04x", c);
        else out[0] = (char)c, out[1] = 0;
        arc_put(w, out);
    }
    arc_put(w, "\"");
}

static void arc_put_board(hrm_writer *w, const arc_board *b)
{
    char text[ARC_MOST_CELLS * 2 + 4 * ARC_MOST + 8], *at = text;
    *at++ = '[';
    for (int r = 0; r < b->rows; r++) {
        if (r) *at++ = ',';
        for (int c = 0; c < b->cols; c++) {
            *at++ = c ? ',' : '[';
            *at++ = (char)('0' + b->cells[r * b->cols + c]);
        }
        *at++ = ']';
    }
    *at++ = ']';
    *at = 0;
    arc_put(w, text);
}

typedef struct arc_writing {
    const arc_score *score;
    const arc_set   *set;
    arc_predictions *p;
    const int32_t   *ids; /* [total] identifiers of the rows */
} arc_writing;

static int arc_answer_board(const arc_writing *x, const arc_answer *a, arc_board *out)
{
    arc_board as_given;
    float q;
    int status = arc_predictions_read(x->p, a->row, &as_given, &q);
    const arc_variant_of *v = &x->set->ids[x->ids[a->row]];
    if (status == TOOL_OK) arc_undo(out, &as_given, v->turn, v->colour);
    return status;
}

static int arc_write_ballot(const arc_writing *x, hrm_writer *w, int test)
{
    const arc_ballot *b = &x->score->ballots[test];
    const arc_board *truth = arc_test(x->set, test, 1);
    char text[160];
    snprintf(text, sizeof text, "{\"predictions\": %d, \"different\": %d, ", b->votes, b->count);
    arc_put(w, text);
    if (truth->rows && b->rank >= 0) snprintf(text, sizeof text, "\"truth_at\": %d, \"answers\": [", b->rank + 1);
    else snprintf(text, sizeof text, "\"truth_at\": null, \"answers\": [");
    arc_put(w, text);
    for (int i = 0; i < b->count && i < ARC_TOP; i++) {
        const arc_answer *a = &b->answers[i];
        arc_board board;
        int status = arc_answer_board(x, a, &board);
        if (status != TOOL_OK) return status;
        snprintf(text, sizeof text, "%s\n    {\"votes\": %d, \"confidence\": %.6g, %s\"grid\": ", i ? "," : "", a->votes,
                 a->confidence, !truth->rows ? "" : i == b->rank ? "\"correct\": true, " : "\"correct\": false, ");
        arc_put(w, text);
        arc_put_board(w, &board);
        arc_put(w, "}");
    }
    arc_put(w, "]}");
    return TOOL_OK;
}

static int arc_write_attempts(const arc_writing *x, hrm_writer *w, int test)
{
    /* the first two answers that are grids; one that is missing repeats the other, and black stands for both */
    const arc_ballot *b = &x->score->ballots[test];
    arc_board attempt[2];
    int n = 0;
    for (int i = 0; i < b->count && n < 2; i++) {
        int status = arc_answer_board(x, &b->answers[i], &attempt[n]);
        if (status != TOOL_OK) return status;
        n += attempt[n].rows > 0;
    }
    if (n == 0) attempt[0].rows = attempt[0].cols = 1, attempt[0].cells[0] = 0, n = 1;
    arc_put(w, "{\"attempt_1\": ");
    arc_put_board(w, &attempt[0]);
    arc_put(w, ", \"attempt_2\": ");
    arc_put_board(w, &attempt[n - 1]);
    arc_put(w, "}");
    return TOOL_OK;
}

static int arc_write(const arc_writing *x, const char *folder, const char *name, const char *checkpoint)
{
    /* checkpoint NULL: submission.json, {"ID": [{"attempt_1": grid, "attempt_2": grid}…]…}; else answers.json */
    char path[TOOL_PATH], text[64];
    hrm_writer *w;
    int status = TOOL_OK;
    if (!tool_join(path, folder, name)) return tool_error("%s: the path is too long", folder);
    if (hrm_writer_open(&w, path, NULL) != HRM_OK) return tool_failed();
    if (checkpoint) {
        arc_put(w, "{\"checkpoint\": ");
        arc_put_text(w, checkpoint);
        arc_put(w, ", \"data_path\": ");
        arc_put_text(w, x->set->dir);
        arc_put(w, ", \"tasks\": ");
    }
    for (int e = 0; e < x->set->num_entries && status == TOOL_OK; e++) {
        const arc_entry *t = &x->set->entries[e];
        arc_put(w, e ? ",\n" : "{");
        arc_put_text(w, t->name);
        int worst = 0;
        for (int k = 0; k < t->num_test; k++) {
            int rank = x->score->ballots[t->first_test + k].rank;
            worst = rank < 0 || worst < 0 ? -1 : rank > worst ? rank : worst;
        }
        if (checkpoint && worst >= 0) snprintf(text, sizeof text, ": {\"solved_at\": %d, \"tests\": [", worst + 1);
        else snprintf(text, sizeof text, "%s", checkpoint ? ": {\"solved_at\": null, \"tests\": [" : ": [");
        arc_put(w, text);
        for (int k = t->first_test; k < t->first_test + t->num_test && status == TOOL_OK; k++) {
            if (k > t->first_test) arc_put(w, ", ");
            status = checkpoint ? arc_write_ballot(x, w, k) : arc_write_attempts(x, w, k);
        }
        arc_put(w, checkpoint ? "]}" : "]");
    }
    arc_put(w, checkpoint ? "}}\n" : "}\n");
    if (status == TOOL_OK) return hrm_writer_commit(w) == HRM_OK ? TOOL_OK : tool_failed();
    hrm_writer_abort(w);
    return status;
}

/* ---- all of it ----------------------------------------------------------------------------------------------------------- */
static int arc_test_of(const arc_set *set, const arc_entry *t, const arc_board *input, const int32_t *votes)
{
    /* which test of the task has this input, of equal ones that with the fewest votes; -1: none */
    int found = -1;
    for (int k = t->first_test; k < t->first_test + t->num_test; k++)
        if (arc_same(arc_test(set, k, 0), input) && (found < 0 || votes[k] < votes[found])) found = k;
    return found;
}

typedef struct arc_gathering {
    hrm_batch batch;
    arc_vote *votes;
    int32_t  *ids;
    uint8_t  *plain_voted, *plain_right;
    int32_t  *votes_of; /* a test */
    int64_t   count;
} arc_gathering;

static int arc_gather(arc_gathering *g, const arc_set *set, arc_predictions *p, int64_t row, int i)
{
    /* prediction `row`, whose example is i of the batch */
    arc_board board, input, answer;
    float q;
    int32_t id = g->batch.puzzle_identifiers[i];
    int status = arc_predictions_read(p, row, &board, &q);
    if (status != TOOL_OK) return status;
    g->ids[row] = id;
    if (id == 0) return TOOL_OK; /* a padding puzzle */
    if (id >= set->num_ids || set->ids[id].entry < 0)
        return tool_error("%s: example %lld of the test split is of puzzle %d, which is no task of test_puzzles.json", set->dir,
                          (long long)row, id);
    const arc_variant_of *v = &set->ids[id];
    arc_crop(&answer, g->batch.inputs + (size_t)i * (size_t)(set->side * set->side), set->side);
    arc_undo(&input, &answer, v->turn, v->colour);
    int test = arc_test_of(set, &set->entries[v->entry], &input, g->votes_of);
    if (test < 0)
        return tool_error("%s: example %lld of the test split is none of task %s's test inputs in test_puzzles.json", set->dir,
                          (long long)row, set->entries[v->entry].name);
    arc_undo(&answer, &board, v->turn, v->colour);
    arc_vote *vote = &g->votes[g->count++];
    vote->test = test;
    g->votes_of[test]++;
    vote->row = (int32_t)row;
    vote->answer = arc_hash(&answer);
    vote->confidence = q == q ? (float)(1 / (1 + exp(-(double)q))) : 0;
    if (v->plain) {
        g->plain_voted[test] = 1;
        g->plain_right[test] = arc_test(set, test, 1)->rows && arc_same(&answer, arc_test(set, test, 1));
    }
    return TOOL_OK;
}

int arc_evaluate(arc_score *score, const arc_set *set, const hrm_dataset *data, arc_predictions *p, const char *folder,
                 const char *checkpoint)
{
    enum { ROWS = 64 };
    arc_gathering g;
    arc_writing x;
    size_t T = (size_t)set->side * (size_t)set->side;
    int64_t total = p->done;
    int status = TOOL_OK;
    memset(&g, 0, sizeof g);
    memset(score, 0, sizeof *score);
    if (total > INT32_MAX) return tool_error("%s: more than %d predictions", p->path, INT32_MAX);
    g.batch.inputs = (int32_t *)data_alloc(2 * ROWS * T + ROWS, sizeof(int32_t));
    g.votes = (arc_vote *)data_alloc((size_t)total, sizeof *g.votes);
    g.ids = (int32_t *)data_alloc((size_t)total, sizeof *g.ids);
    g.plain_voted = (uint8_t *)data_alloc(2 * (size_t)set->num_tests, 1);
    g.votes_of = (int32_t *)data_alloc((size_t)set->num_tests, sizeof *g.votes_of);
    if (!g.batch.inputs || !g.votes || !g.ids || !g.plain_voted || !g.votes_of) status = TOOL_ERROR;
    else g.plain_right = g.plain_voted + set->num_tests;
    g.batch.labels = g.batch.inputs + ROWS * T;
    g.batch.puzzle_identifiers = g.batch.labels + ROWS * T;
    progress bar = progress_begin("votes", (double)total);
    for (int64_t first = 0; first < total && status == TOOL_OK; first += ROWS) {
        g.batch.rows = total - first < ROWS ? (int)(total - first) : ROWS;
        if (hrm_dataset_read(data, first, &g.batch) != HRM_OK) status = tool_failed();
        for (int i = 0; i < g.batch.filled && status == TOOL_OK; i++) status = arc_gather(&g, set, p, first + i, i);
        progress_update(&bar, (double)first, NULL);
        if (status == TOOL_OK && tool_signal) status = -1;
    }
    progress_clear(&bar);
    if (status == TOOL_OK && !arc_count(score, set, g.votes, g.count, g.plain_voted, g.plain_right)) status = TOOL_ERROR;
    x.score = score, x.set = set, x.p = p, x.ids = g.ids;
    if (status == TOOL_OK) status = arc_write(&x, folder, "answers.json", checkpoint);
    if (status == TOOL_OK) status = arc_write(&x, folder, "submission.json", NULL);
    free(g.batch.inputs);
    free(g.votes);
    free(g.ids);
    free(g.plain_voted);
    free(g.votes_of);
    return status;
}
