/* ARC's scoring piece by piece: what names say, where a grid ends, the way back, votes and their order, and predictions on disk
 * that outlive whoever wrote them. The whole of it on the command line: test_arc.sh. */
#if !defined(_XOPEN_SOURCE) && !defined(_WIN32)
    #define _XOPEN_SOURCE 700
#endif
#define HRM_IMPLEMENTATION
#include "hrm.h"
#include "harness.h"
#include <unistd.h>
#define main tool_main
#define run tool_run
#include "../tools/hrm.c"
#undef main
#undef run
#include "../tools/data.c"
#include "../tools/arc.c"
int data_arc(const data_options *o) { return (void)o, TOOL_ERROR; }
int data_grid(const data_options *o) { return (void)o, TOOL_ERROR; }
int data_maze(const data_options *o) { return (void)o, TOOL_ERROR; }
int data_sudoku(const data_options *o) { return (void)o, TOOL_ERROR; }
int devices_close(int status) { return status; }
#define NONE(name) \
    int command_##name(int argc, char **argv) { return (void)argv, argc ? TOOL_USAGE : TOOL_ERROR; }
NONE(train) NONE(eval) NONE(solve) NONE(convert) NONE(info) NONE(plot) NONE(render) NONE(adapt) NONE(analyze)

static char dir[128];
static const char *in_dir(const char *name)
{
    static char path[300];
    snprintf(path, sizeof path, "%s/%s", dir, name);
    return path;
}

/* ---- names, grids -------------------------------------------------------------------------------------------------------- */
static void test_names(void)
{
    static const struct { const char *name; size_t length; int turn; const char *colours; } cases[] = {
        {"0a1b", 4, 0, "0123456789"},
        {"0a1b_t3_0987654321", 4, 3, "0987654321"},
        {"0a1b|||t7|||0213456789", 4, 7, "0213456789"},
        {"with_t1_in_it_t0_0123456798", 13, 0, "0123456798"},
        {"0a1b_t8_0123456789", 18, 0, "0123456789"},  /* no such turn */
        {"0a1b_t1_0123456788", 18, 0, "0123456789"},  /* no permutation */
        {"0a1b|||t1_0123456789", 20, 0, "0123456789"}, /* not of a piece */
        {"_t1_0123456789", 14, 0, "0123456789"},      /* of nothing */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t turn, colour[ARC_PALETTE];
        size_t n = arc_name(cases[i].name, &turn, colour);
        int same = 1;
        for (int c = 0; c < ARC_PALETTE; c++) same &= colour[c] == cases[i].colours[c] - '0';
        CHECK(n == cases[i].length && turn == cases[i].turn && same, "%s: %zu letters, turn %d", cases[i].name, n, turn);
    }
}

static void test_crop(void)
{
    enum { SIDE = 5 };
    static const struct { const char *tokens; int rows, cols; } cases[] = {
        {"aa1..aa1..11........." "....", 2, 2}, /* as grids are written: a line below and one to the right */
        {"aaaaaaaaaaaaaaaaaaaaaaaaa", 5, 5},
        {".aaaaaaaaaaaaaaaaaaaaaaaa", 0, 0}, /* nothing in the corner */
        {"aaaa1a1...a1...a1...a1...", 5, 1}, /* 5 high beats 4 wide */
        {"aaa..aaa..aaaa.aaaa..a...", 4, 3},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        int32_t tokens[SIDE * SIDE];
        arc_board b;
        for (int k = 0; k < SIDE * SIDE; k++)
            tokens[k] = cases[i].tokens[k] == '.' ? 0 : cases[i].tokens[k] == '1' ? 1 : 2 + k % ARC_PALETTE;
        arc_crop(&b, tokens, SIDE);
        CHECK(b.rows == cases[i].rows && b.cols == cases[i].cols, "case %zu: %d x %d", i, b.rows, b.cols);
        for (int r = 0; r < b.rows; r++)
            for (int c = 0; c < b.cols; c++)
                CHECK(b.cells[r * b.cols + c] == tokens[r * SIDE + c] - 2, "case %zu: cell %d, %d", i, r, c);
    }
}

static void test_undo(void)
{
    /* every turn and a permutation of the colours, there by the builder's own, and back */
    static const uint8_t colour[ARC_PALETTE] = {0, 3, 1, 2, 9, 8, 7, 6, 5, 4};
    arc_board b, there, back;
    b.rows = 2, b.cols = 3;
    for (int i = 0; i < 6; i++) b.cells[i] = (uint8_t)(i + 1);
    for (int turn = 0; turn < 8; turn++) {
        data_dihedral(there.cells, b.cells, 2, 3, turn);
        int swapped = turn == 1 || turn == 3 || turn >= 6;
        there.rows = swapped ? 3 : 2, there.cols = swapped ? 2 : 3;
        for (int i = 0; i < 6; i++) there.cells[i] = colour[there.cells[i]];
        arc_undo(&back, &there, turn, colour);
        CHECK(arc_same(&back, &b), "turn %d does not come back", turn);
        CHECK(arc_hash(&back) == arc_hash(&b) && (turn == 0 || arc_hash(&there) != arc_hash(&b)), "hash, turn %d", turn);
    }
    arc_board flat = b;
    flat.rows = 1, flat.cols = 6;
    CHECK(arc_hash(&flat) != arc_hash(&b), "a grid's shape is not in its hash");
}

/* ---- votes --------------------------------------------------------------------------------------------------------------- */
static void write_text(const char *name, const char *text)
{
    FILE *f = fopen(in_dir(name), "wb");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s cannot be written", name);
}

static void test_votes(void)
{
    /* task a: two tests, one task b whose truth nobody knows, task c that nobody predicted */
    arc_set set;
    arc_score s;
    arc_vote votes[16], shuffled[16];
    uint8_t plain_voted[8] = {1, 1, 1, 0}, plain_right[8] = {1, 0, 0, 0};
    write_text("test_puzzles.json",
               "{\"a\": {\"train\": [{\"input\": [[1]], \"output\": [[2]]}], "
               "\"test\": [{\"input\": [[1,1]], \"output\": [[2,2]]}, {\"input\": [[3]], \"output\": [[4]]}]}, "
               "\"b\": {\"train\": [{\"input\": [[1]], \"output\": [[2]]}], \"test\": [{\"input\": [[5]]}]}, "
               "\"c\": {\"train\": [{\"input\": [[1]], \"output\": [[2]]}], "
               "\"test\": [{\"input\": [[1]], \"output\": [[2]]}]}}");
    write_text("identifiers.json", "[\"<blank>\", \"a\", \"a_t1_0213456789\", \"b\", \"other\"]");
    int opened = arc_set_open(&set, dir, 5, 1);
    CHECK(opened == TOOL_OK, "the set does not open");
    if (opened != TOOL_OK) return;
    CHECK(set.num_entries == 3 && set.num_tests == 4 && set.num_ids == 5, "%d and %d", set.num_entries, set.num_tests);
    CHECK(set.ids[0].entry == -1 && set.ids[1].entry == 0 && set.ids[1].plain && set.ids[2].entry == 0 && !set.ids[2].plain &&
              set.ids[2].turn == 1 && set.ids[3].entry == 1 && set.ids[4].entry == -1,
          "identifiers");
    CHECK(arc_test(&set, 1, 1)->cells[0] == 4 && arc_test(&set, 2, 1)->rows == 0, "truths");
    CHECK(arc_test(&set, 3, 0)->cells[0] == 1, "the last input");

    uint64_t right = arc_hash(arc_test(&set, 0, 1)), second = arc_hash(arc_test(&set, 1, 1)), x = 11, y = 12, z = 13;
    const struct { int test; uint64_t answer; float q; } cast[] = {
        {0, x, 0.9f}, {0, right, 0.1f}, {0, right, 0.2f}, {0, x, 0.1f}, {0, right, 0.3f}, /* 3 votes beat 2 sure ones */
        {1, x, 0.5f}, {1, second, 0.6f}, {1, second, 0.6f}, {1, x, 0.9f}, {1, y, 1.0f},   /* 2 and 2: mean 0.7 beats 0.6 */
        {2, z, 0.5f}, {2, y, 0.5f},                                                       /* alike: the one that came first */
    };
    int n = (int)(sizeof cast / sizeof *cast);
    for (int i = 0; i < n; i++)
        votes[i].test = cast[i].test, votes[i].answer = cast[i].answer, votes[i].confidence = cast[i].q, votes[i].row = i;
    for (int turn = 0; turn < 2; turn++) { /* in whatever order they come */
        for (int i = 0; i < n; i++) shuffled[i] = votes[turn ? n - 1 - i : i];
        CHECK(arc_count(&s, &set, shuffled, n, plain_voted, plain_right), "no memory");
        CHECK(s.ballots[0].count == 2 && s.ballots[0].rank == 0 && s.ballots[0].answers[0].votes == 3 &&
                  fabs(s.ballots[0].answers[0].confidence - 0.2) < 1e-6 && s.ballots[0].answers[0].row == 1,
              "the first test: rank %d", s.ballots[0].rank);
        CHECK(s.ballots[1].count == 3 && s.ballots[1].rank == 1 && s.ballots[1].answers[0].answer == x &&
                  s.ballots[1].votes == 5,
              "the second test: rank %d", s.ballots[1].rank);
        CHECK(s.ballots[2].answers[0].answer == z && s.ballots[2].rank == -1 && s.ballots[3].count == 0, "the others");
        CHECK(s.tasks == 1 && s.solved[0] == 0 && s.solved[1] == 1 && s.solved[4] == 1 && s.plain == 0 && s.tests == 2 &&
                  s.solved_tests == 2,
              "%d tasks, %d at 1, %d at 2", s.tasks, s.solved[0], s.solved[1]);
        arc_score_free(&s);
    }
    plain_right[1] = 1;
    votes[8].answer = second, votes[8].confidence = 0.1f; /* three at last */
    CHECK(arc_count(&s, &set, votes, n, plain_voted, plain_right) && s.solved[0] == 1 && s.plain == 1, "solved at once");
    arc_score_free(&s);
    arc_set_close(&set);
    static const char *const broken[] = {
        "[]", "{}", "{\"a\": 1}", "{\"a\": {\"train\": [], \"test\": []}}",
        "{\"a\": {\"train\": [{\"input\": [[1]]}], \"test\": [{\"input\": [[1]]}]}}",
        "{\"a\": {\"train\": [{\"input\": [[1],[1,2]], \"output\": [[1]]}], \"test\": [{\"input\": [[1]]}]}}",
        "{\"a\": {\"train\": [{\"input\": [[1,1,1,1,1,1]], \"output\": [[1]]}], \"test\": [{\"input\": [[1]]}]}}",
        "{\"a\": {\"train\": [{\"input\": [[10]], \"output\": [[1]]}], \"test\": [{\"input\": [[1]]}]}}",
        "{\"a\": {\"train\": [{\"input\": [], \"output\": [[1]]}], \"test\": [{\"input\": [[1]]}]}}"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        write_text("test_puzzles.json", broken[i]);
        CHECK(arc_set_open(&set, dir, 5, 1) == TOOL_ERROR && !set.entries, "broken tasks %zu are taken", i);
    }
}

/* ---- predictions --------------------------------------------------------------------------------------------------------- */
static void tokens_of(int32_t tokens[25], int k)
{
    for (int i = 0; i < 25; i++) tokens[i] = i % 5 < 3 && i < 10 ? 2 + (i + k) % ARC_PALETTE : 1; /* 2 x 3 */
}

static int holds(arc_predictions *p, int from, int to)
{
    for (int k = from; k < to; k++) {
        int32_t tokens[25];
        arc_board want, got;
        float q;
        tokens_of(tokens, k);
        arc_crop(&want, tokens, 5);
        if (arc_predictions_read(p, k, &got, &q) != TOOL_OK || !arc_same(&want, &got) || q != (float)k / 4) return 0;
    }
    return 1;
}

static int add(arc_predictions *p, int from, int to)
{
    int32_t tokens[25];
    for (int k = from; k < to; k++) {
        tokens_of(tokens, k);
        if (arc_predictions_add(p, tokens, (float)k / 4) != TOOL_OK) return 0;
    }
    return 1;
}

static void patch(long at, int byte)
{
    FILE *f = fopen(in_dir("kept/predictions.arc"), "r+b");
    CHECK(f && fseek(f, at, SEEK_SET) == 0 && fputc(byte, f) == byte && fclose(f) == 0, "cannot be patched");
}

static void test_predictions(void)
{
    arc_predictions p;
    hrm_metrics m, half;
    const char *folder = "kept";
    char path[300];
    memset(&m, 0, sizeof m);
    snprintf(path, sizeof path, "%s", in_dir(folder));
    m.count = m.rows = 3, m.exact_accuracy = 0.5, m.lm_loss = 1.25;
    half = m;
    CHECK(arc_predictions_open(&p, path, 7, 5, 8, 0) == TOOL_OK && p.done == 0, "new");
    CHECK(add(&p, 0, 3) && arc_predictions_flush(&p, &m) == TOOL_OK && add(&p, 3, 5), "three are safe, two are not");
    arc_predictions_close(&p);
    CHECK(arc_predictions_open(&p, path, 7, 5, 8, 0) == TOOL_OK && p.done == 3, "%lld are there", (long long)p.done);
    CHECK(p.metrics.count == 3 && p.metrics.exact_accuracy == 0.5 && p.metrics.lm_loss == 1.25, "with their metrics");
    CHECK(add(&p, 3, 6), "on from there");
    m.count = 6;
    CHECK(arc_predictions_flush(&p, &m) == TOOL_OK && holds(&p, 0, 6), "all are right");
    CHECK(holds(&p, 4, 6) && holds(&p, 1, 3), "in any order");
    arc_predictions_close(&p);

    patch(ARC_PLACE + 8, 99); /* the place that the last flush wrote: as if it had been cut short */
    CHECK(arc_predictions_open(&p, path, 7, 5, 8, 0) == TOOL_OK && p.done == 3, "%lld of the flush before", (long long)p.done);
    CHECK(p.metrics.count == half.count && holds(&p, 0, 3), "and its predictions");
    arc_predictions_close(&p);
    patch(ARC_HEAD + 4, 99); /* a record: 99 rows */
    CHECK(arc_predictions_open(&p, path, 7, 5, 8, 0) == TOOL_OK, "opens");
    arc_board b;
    float q;
    CHECK(arc_predictions_read(&p, 0, &b, &q) == TOOL_ERROR, "a damaged prediction is taken");
    arc_predictions_close(&p);

    CHECK(arc_predictions_open(&p, path, 8, 5, 8, 0) == TOOL_OK && p.done == 0, "of other weights");
    CHECK(add(&p, 0, 2) && arc_predictions_flush(&p, &m) == TOOL_OK, "written anew");
    arc_predictions_close(&p);
    CHECK(arc_predictions_open(&p, path, 8, 5, 9, 0) == TOOL_OK && p.done == 0, "of other data");
    CHECK(add(&p, 0, 2) && arc_predictions_flush(&p, &m) == TOOL_OK, "written anew");
    arc_predictions_close(&p);
    CHECK(truncate(in_dir("kept/predictions.arc"), ARC_HEAD + 20) == 0, "cut");
    CHECK(arc_predictions_open(&p, path, 8, 5, 9, 0) == TOOL_OK && p.done == 0, "shorter than it says");
    CHECK(add(&p, 0, 2) && arc_predictions_flush(&p, &m) == TOOL_OK, "written anew");
    arc_predictions_close(&p);
    CHECK(arc_predictions_open(&p, path, 8, 5, 9, 1) == TOOL_OK && p.done == 0, "asked for anew");
    arc_predictions_close(&p);
    write_text("kept/predictions.arc", "x");
    CHECK(arc_predictions_open(&p, path, 8, 5, 9, 0) == TOOL_OK && p.done == 0, "something else");
    arc_predictions_close(&p);
}

int main(void)
{
    const char *tmp = getenv("TMPDIR");
    snprintf(dir, sizeof dir, "%.80s/hrm_test_arc_%ld", tmp ? tmp : "/tmp", (long)getpid());
    CHECK(tool_make_directories(dir) == 0, "%s", dir);
    test_names();
    test_crop();
    test_undo();
    test_votes();
    test_predictions();
    static const char *const files[] = {"kept/predictions.arc", "kept/predictions.lock", "kept", "test_puzzles.json",
                                        "identifiers.json", ""};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) (void)remove(in_dir(files[i]));
    return test_summary();
}
