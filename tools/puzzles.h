/* Sudokus and mazes: generators, solvers, judges. Self-contained but for the random numbers of hrm.h, which is included first.
 *
 *   sudoku_shape shape;                                       a Sudoku of size 4 (2x2 boxes), 6 (2x3) or 9 (3x3)
 *   sudoku_shape_make(&shape, 4);
 *   hrm_random r = hrm_random_make(seed, puzzle_number);      one stream a puzzle: any number of threads makes the same puzzles
 *   sudoku_generate(&shape, &r, 6, puzzle, solution);         at least 6 givens, exactly one solution
 *   maze_generate(&r, 30, 110, question, answer);             30x30, shortest path of at least 110 cells
 *
 * Boards are uint8_t[size * size] row by row, 0 an empty cell, digits 1..size. Mazes are characters, row by row and without a
 * terminating zero: '#' wall, ' ' floor, 'S' start, 'G' goal, 'o' path. Nothing here allocates, prints or fails silently.
 */
#ifndef HRM_PUZZLES_H
#define HRM_PUZZLES_H

#include <stdint.h>
#include <string.h>

#if defined(__GNUC__) || defined(__clang__)
    #define PUZZLES_API static __attribute__((unused))
#else
    #define PUZZLES_API static
#endif

/* ==================================================================================================== Sudoku =============
 * Candidates of a cell are a bit set. The solver, on which the rating of a puzzle rests:
 *   1. naked singles (a cell with one candidate takes it from its peers) and hidden singles (a digit with one place in a row,
 *      column or box goes there), to a fixed point; a cell without candidates or a digit without a place is a dead end;
 *   2. else the first cell, in some order, of those with the fewest candidates is tried with each of them.
 * Its dead ends in the whole search, second solutions excluded too, are what a solver that guesses has to take back. They do
 * not depend on the order in which digits are tried, nor on their names, but very much on that of the cells: of one puzzle they
 * differ tenfold, and a puzzle that is hard in one order alone is not hard. So the rating is their geometric mean over eight
 * orders (each counted up to 254 and with one added, which is taken off again). 0: singles alone solve it.
 */
enum { SUDOKU_MAX_SIZE = 9, SUDOKU_MAX_CELLS = 81, SUDOKU_MAX_PEERS = 20, SUDOKU_ORDERS = 8, SUDOKU_MAX_RATING = 254 };

typedef struct sudoku_shape {
    int     size, cells, box_rows, box_cols, num_peers; /* box_rows * box_cols = size */
    uint8_t unit[3 * SUDOKU_MAX_SIZE][SUDOKU_MAX_SIZE]; /* cells of the rows, then columns, then boxes */
    uint8_t peers[SUDOKU_MAX_CELLS][SUDOKU_MAX_PEERS];  /* cells that share a unit with a cell */
    uint32_t units_of[SUDOKU_MAX_CELLS];                /* the three of a cell, a bit each */
    uint8_t order[SUDOKU_ORDERS][SUDOKU_MAX_CELLS];     /* in which cells are looked at; [0] is the reading order */
} sudoku_shape;

/* size 4, 6 or 9; 0 for any other. */
PUZZLES_API int sudoku_shape_make(sudoku_shape *s, int size)
{
    static const int step[SUDOKU_ORDERS] = {1, 31, 47, 65, 5, 25, 35, 77}; /* no factor in common with 16, 36, 81 */
    if (size != 4 && size != 6 && size != 9) return 0;
    memset(s, 0, sizeof *s);
    s->size = size;
    s->cells = size * size;
    s->box_rows = size == 9 ? 3 : 2;
    s->box_cols = size / s->box_rows;
    for (int i = 0; i < size; i++) {
        int top = i / (size / s->box_cols) * s->box_rows, left = i % (size / s->box_cols) * s->box_cols;
        for (int j = 0; j < size; j++) {
            s->unit[i][j] = (uint8_t)(i * size + j);
            s->unit[size + i][j] = (uint8_t)(j * size + i);
            s->unit[2 * size + i][j] = (uint8_t)((top + j / s->box_cols) * size + left + j % s->box_cols);
        }
    }
    for (int c = 0; c < s->cells; c++) {
        uint8_t seen[SUDOKU_MAX_CELLS] = {0};
        int n = 0;
        seen[c] = 1;
        for (int u = 0; u < 3 * size; u++) {
            int in = 0;
            for (int j = 0; j < size; j++) in |= s->unit[u][j] == c;
            if (in) s->units_of[c] |= (uint32_t)1 << u;
            for (int j = 0; in && j < size; j++)
                if (!seen[s->unit[u][j]]) {
                    seen[s->unit[u][j]] = 1;
                    s->peers[c][n++] = s->unit[u][j];
                }
        }
        s->num_peers = n; /* the same for every cell */
        for (int k = 0; k < SUDOKU_ORDERS; k++) /* from different places */
            s->order[k][c] = (uint8_t)((s->cells * k / SUDOKU_ORDERS + c * step[k]) % s->cells);
    }
    return 1;
}

/* 1 when no row, column or box holds a digit twice and every cell is 0..size. */
PUZZLES_API int sudoku_is_consistent(const sudoku_shape *s, const uint8_t *board)
{
    for (int c = 0; c < s->cells; c++)
        if (board[c] > s->size) return 0;
    for (int u = 0; u < 3 * s->size; u++) {
        unsigned seen = 0;
        for (int j = 0; j < s->size; j++) {
            unsigned bit = 1u << board[s->unit[u][j]];
            if (bit != 1u && (seen & bit)) return 0;
            seen |= bit;
        }
    }
    return 1;
}

/* 1 when `board` is full, breaks no rule, and keeps the givens of `puzzle` (NULL: of none). */
PUZZLES_API int sudoku_is_solution(const sudoku_shape *s, const uint8_t *puzzle, const uint8_t *board)
{
    for (int c = 0; c < s->cells; c++)
        if (board[c] == 0 || (puzzle && puzzle[c] != 0 && puzzle[c] != board[c])) return 0;
    return sudoku_is_consistent(s, board);
}

typedef struct sudoku__state {
    uint16_t candidates[SUDOKU_MAX_CELLS];
    uint8_t  placed[SUDOKU_MAX_CELLS]; /* 1: its digit has been taken from its peers */
    uint32_t changed;                  /* units, a bit each, that have not been looked at since one of their cells changed */
    int      num_placed;
} sudoku__state;

typedef struct sudoku__search {
    const sudoku_shape *shape;
    hrm_random         *random; /* NULL: digits in ascending order */
    uint8_t            *solution;
    int                 order, limit, found, dead_ends, max_dead_ends;
} sudoku__search;

static int sudoku__place(const sudoku_shape *s, sudoku__state *st, int cell)
{
    /* the one candidate of `cell` is taken from its peers, and so on for those that are left with one -> 0: dead end */
    uint8_t queue[SUDOKU_MAX_CELLS];
    int n = 0;
    st->placed[cell] = 1;
    st->changed |= s->units_of[cell];
    queue[n++] = (uint8_t)cell;
    while (n) {
        int c = queue[--n];
        unsigned bit = st->candidates[c];
        st->num_placed++;
        for (int i = 0; i < s->num_peers; i++) {
            int p = s->peers[c][i];
            unsigned left = st->candidates[p] & ~bit;
            if (left == st->candidates[p]) continue;
            if (!left) return 0;
            st->candidates[p] = (uint16_t)left;
            st->changed |= s->units_of[p];
            if (!(left & (left - 1)) && !st->placed[p]) {
                st->placed[p] = 1;
                queue[n++] = (uint8_t)p;
            }
        }
    }
    return 1;
}

static int sudoku__propagate(const sudoku_shape *s, sudoku__state *st)
{
    /* naked singles have been placed; the hidden ones, until there is no other -> 0: dead end */
    unsigned all = (1u << s->size) - 1;
    for (int u = 0; st->changed && st->num_placed < s->cells; u = u + 1 < 3 * s->size ? u + 1 : 0) {
        if (!(st->changed >> u & 1)) continue;
        st->changed &= ~(1u << u);
        const uint8_t *unit = s->unit[u];
        unsigned once = 0, twice = 0, fixed = 0;
        for (int j = 0; j < s->size; j++) {
            unsigned c = st->candidates[unit[j]];
            twice |= once & c;
            once |= c;
            if (st->placed[unit[j]]) fixed |= c;
        }
        if (once != all) return 0;
        unsigned hidden = once & ~twice & ~fixed;
        for (int j = 0; hidden && j < s->size; j++) {
            unsigned bit = st->candidates[unit[j]] & hidden;
            if (!bit || st->placed[unit[j]]) continue;
            if (bit & (bit - 1)) return 0; /* two digits with this one place only */
            hidden &= ~bit;
            st->candidates[unit[j]] = (uint16_t)bit;
            if (!sudoku__place(s, st, unit[j])) return 0;
        }
    }
    return 1;
}

static int sudoku__bits(unsigned x)
{
    int n = 0;
    for (; x; x &= x - 1) n++;
    return n;
}

static void sudoku__solve(sudoku__search *search, sudoku__state *st)
{
    const sudoku_shape *s = search->shape;
    if (!sudoku__propagate(s, st)) {
        search->dead_ends++;
        return;
    }
    if (st->num_placed == s->cells) {
        if (search->found++ == 0 && search->solution)
            for (int c = 0; c < s->cells; c++) search->solution[c] = (uint8_t)(sudoku__bits(st->candidates[c] - 1u) + 1);
        return;
    }
    int best = -1, fewest = SUDOKU_MAX_SIZE + 1;
    for (int i = 0; i < s->cells && fewest > 2; i++) {
        int c = s->order[search->order][i];
        if (st->placed[c]) continue;
        unsigned others = st->candidates[c] & (st->candidates[c] - 1u);
        int n = others & (others - 1) ? sudoku__bits(st->candidates[c]) : 2;
        if (n < fewest) fewest = n, best = c;
    }
    int32_t digits[SUDOKU_MAX_SIZE];
    uint32_t n = 0;
    for (int d = 0; d < s->size; d++)
        if (st->candidates[best] >> d & 1) digits[n++] = d;
    if (search->random) hrm_random_shuffle(search->random, digits, n);
    for (uint32_t i = 0; i < n && search->found < search->limit; i++) {
        if (search->max_dead_ends && search->dead_ends > search->max_dead_ends) return;
        sudoku__state next = *st;
        next.candidates[best] = (uint16_t)(1u << digits[i]);
        if (sudoku__place(s, &next, best)) sudoku__solve(search, &next);
        else search->dead_ends++;
    }
}

static int sudoku__start(const sudoku_shape *s, sudoku__state *st, const uint8_t *board)
{
    /* -> 0: the givens contradict each other */
    memset(st, 0, sizeof *st);
    st->changed = (uint32_t)((1ull << 3 * s->size) - 1);
    for (int c = 0; c < s->cells; c++) st->candidates[c] = (uint16_t)((1u << s->size) - 1);
    for (int c = 0; c < s->cells; c++) {
        if (board[c] == 0) continue;
        if (board[c] > s->size || !(st->candidates[c] >> (board[c] - 1) & 1)) return 0;
        if (st->placed[c]) continue; /* it followed from the others */
        st->candidates[c] = (uint16_t)(1u << (board[c] - 1));
        if (!sudoku__place(s, st, c)) return 0;
    }
    return 1;
}

static int sudoku__found(const sudoku_shape *s, hrm_random *r, const uint8_t *board, int limit, int max_dead_ends,
                         uint8_t *solution)
{
    /* solutions, counted up to `limit`, in an order that r draws if it is not NULL; 0 when there are more dead ends than
     * max_dead_ends, which 0 leaves open */
    sudoku__search search;
    sudoku__state st;
    memset(&search, 0, sizeof search);
    search.shape = s;
    search.random = r;
    search.solution = solution;
    search.limit = limit;
    search.max_dead_ends = max_dead_ends;
    if (sudoku__start(s, &st, board)) sudoku__solve(&search, &st);
    return max_dead_ends && search.dead_ends > max_dead_ends ? 0 : search.found;
}

/* How many solutions there are, counted up to `limit`; 2 answers "exactly one?". solution (may be NULL) takes the first
 * found. */
PUZZLES_API int sudoku_count_solutions(const sudoku_shape *s, const uint8_t *board, int limit, uint8_t *solution)
{
    return sudoku__found(s, NULL, board, limit, 0, solution);
}

static int sudoku__rating(uint64_t effort)
{
    /* the eighth root, rounded down, less the one; -1 of 0 */
    uint64_t root = 0;
    for (uint64_t bit = 128; bit; bit >>= 1) {
        uint64_t r = root | bit, square = r * r;
        if (square * square <= effort / (square * square)) root = r;
    }
    return (int)root - 1;
}

static uint64_t sudoku__dead_ends(const sudoku_shape *s, const uint8_t *puzzle, int order)
{
    /* of a search for a second solution, and one */
    sudoku__search search;
    sudoku__state st;
    memset(&search, 0, sizeof search);
    search.shape = s;
    search.order = order;
    search.limit = 2;
    search.max_dead_ends = SUDOKU_MAX_RATING; /* eight of them fill 64 bits */
    if (sudoku__start(s, &st, puzzle)) sudoku__solve(&search, &st);
    return 1u + (uint64_t)(search.dead_ends < SUDOKU_MAX_RATING ? search.dead_ends : SUDOKU_MAX_RATING);
}

static uint64_t sudoku__effort(const sudoku_shape *s, const uint8_t *puzzle, int rating)
{
    /* the dead ends in each order, one added, multiplied; 0 when the first or the first two are far below `rating` */
    uint64_t product = 1, third = (uint64_t)rating / 3;
    for (int k = 0; k < SUDOKU_ORDERS; k++) {
        product *= sudoku__dead_ends(s, puzzle, k);
        if ((k == 0 && product < third) || (k == 1 && product < third * (uint64_t)rating)) return 0;
    }
    return product;
}

/* The rating of a puzzle that has one solution. */
PUZZLES_API int sudoku_rate(const sudoku_shape *s, const uint8_t *puzzle)
{
    return sudoku__rating(sudoku__effort(s, puzzle, 0));
}

/* A full board, drawn at random. */
PUZZLES_API void sudoku_fill(const sudoku_shape *s, hrm_random *r, uint8_t *solution)
{
    static const uint8_t empty[SUDOKU_MAX_CELLS] = {0};
    /* a draw that runs into many dead ends is thrown away: another is cheaper than the rest of the search */
    while (!sudoku__found(s, r, empty, 1, 100, solution)) {}
}

static int sudoku__needs(const sudoku_shape *s, uint8_t *puzzle, int cell, uint8_t digit)
{
    /* puzzle[cell] = 0, and `digit` is there in the one solution -> 1 when without that given there would be another,
     * or it takes long to see that there is none */
    sudoku__search search;
    sudoku__state st;
    memset(&search, 0, sizeof search);
    search.shape = s;
    search.limit = 1;
    search.max_dead_ends = 10000;
    if (!sudoku__start(s, &st, puzzle)) return 0;
    unsigned others = st.candidates[cell] & ~(1u << (digit - 1));
    if (!others) return 0;
    st.candidates[cell] = (uint16_t)others;
    if (!(others & (others - 1)) && !sudoku__place(s, &st, cell)) return 0;
    sudoku__solve(&search, &st);
    return search.found || search.dead_ends > search.max_dead_ends;
}

static int sudoku__thin(const sudoku_shape *s, hrm_random *r, int givens, uint8_t *puzzle)
{
    /* takes givens away in random order while the solution stays the only one and more than `givens` are left -> how many are
     * left */
    int32_t order[SUDOKU_MAX_CELLS];
    int count = 0;
    for (int c = 0; c < s->cells; c++)
        if (puzzle[c]) order[count++] = c;
    hrm_random_shuffle(r, order, (uint32_t)count);
    for (int i = 0, n = count; i < n && count > givens; i++) {
        uint8_t digit = puzzle[order[i]];
        puzzle[order[i]] = 0;
        if (sudoku__needs(s, puzzle, order[i], digit)) puzzle[order[i]] = digit;
        else count--;
    }
    return count;
}

/* A puzzle with the given solution and no other, and no fewer than `givens` givens (0: as few as this drawing allows, then none
 * of them is superfluous). Returns how many it has. */
PUZZLES_API int sudoku_dig(const sudoku_shape *s, hrm_random *r, int givens, uint8_t *puzzle, const uint8_t *solution)
{
    memcpy(puzzle, solution, (size_t)s->cells);
    return sudoku__thin(s, r, givens, puzzle);
}

/* The same with a solution drawn at random. */
PUZZLES_API int sudoku_generate(const sudoku_shape *s, hrm_random *r, int givens, uint8_t *puzzle, uint8_t *solution)
{
    sudoku_fill(s, r, solution);
    return sudoku_dig(s, r, givens, puzzle, solution);
}

static uint64_t sudoku__change(const sudoku_shape *s, hrm_random *r, int rating, uint8_t *puzzle, const uint8_t *solution)
{
    /* takes one to four givens away, puts others in until the solution is unique again, and thins -> the effort, or 0 as soon
     * as it can be seen to be far below `rating` */
    enum { LONG = 1000 }; /* dead ends: of boards with few givens some have millions, whatever the draw */
    uint8_t found[SUDOKU_MAX_CELLS];
    int32_t order[SUDOKU_MAX_CELLS];
    uint32_t cells = (uint32_t)s->cells;
    int remove = 1 + (int)hrm_random_below(r, 4);
    for (int c = 0; c < s->cells; c++) order[c] = c;
    hrm_random_shuffle(r, order, cells);
    for (int k = 0; k < s->cells && remove; k++)
        if (puzzle[order[k]]) puzzle[order[k]] = 0, remove--;
    hrm_random_shuffle(r, order, cells);
    for (;;) { /* a given more each time */
        int k = 0;
        if (sudoku__found(s, r, puzzle, 1, LONG, found)) {
            while (k < s->cells && found[order[k]] == solution[order[k]]) k++;
            /* ours: by chance, or is it the only one? */
            if (k == s->cells && sudoku__found(s, NULL, puzzle, 2, LONG, NULL) == 1) break;
        } else k = s->cells;
        if (k == s->cells)
            for (k = 0; puzzle[order[k]];) k++;
        puzzle[order[k]] = solution[order[k]]; /* where another solution differs a given is missing */
    }
    if (sudoku__dead_ends(s, puzzle, 0) < (uint64_t)rating / 6) return 0; /* thinning does not make up for that */
    (void)sudoku__thin(s, r, 0, puzzle);
    return sudoku__effort(s, puzzle, rating);
}

/* Changes a puzzle little by little, never its solution, until it is rated min_rating or more, and max_rating or less (-1:
 * whatever), if it can. On the way up a change may cost a quarter of the rating: who only climbs is soon stuck. Once there
 * anything goes that is still there, until `changes` are made: hard puzzles are rare, but close to one another. Returns the
 * rating it came to, which is less when it has given up, and may be more when it was at first. */
PUZZLES_API int sudoku_harden(const sudoku_shape *s, hrm_random *r, int min_rating, int max_rating, int changes,
                              uint8_t *puzzle, const uint8_t *solution)
{
    uint64_t effort = sudoku__effort(s, puzzle, 0), best = effort;
    int rating = sudoku__rating(effort);
    for (int i = 0, patience = 100 + 30 * min_rating; i < patience && (rating < min_rating || changes > 0); i++) {
        uint8_t next[SUDOKU_MAX_CELLS];
        memcpy(next, puzzle, (size_t)s->cells);
        uint64_t next_effort = sudoku__change(s, r, rating < min_rating ? rating : min_rating, next, solution);
        int next_rating = sudoku__rating(next_effort);
        if ((next_effort < effort / 10 && next_rating < min_rating) || (rating >= min_rating && next_rating < min_rating) ||
            (max_rating >= 0 && next_rating > max_rating) || next_effort == effort) continue;
        memcpy(puzzle, next, (size_t)s->cells);
        if (rating >= min_rating || next_effort > best) i = -1;
        if (next_effort > best) best = next_effort;
        effort = next_effort;
        rating = next_rating;
        changes--;
    }
    return rating;
}

/* The same with a solution drawn at random, until one gets there. Returns the rating, or -1 when `tries` solutions did not
 * (small sizes have no hard puzzles). */
PUZZLES_API int sudoku_generate_rated(const sudoku_shape *s, hrm_random *r, int min_rating, int tries, uint8_t *puzzle,
                                      uint8_t *solution)
{
    for (int t = 0; t < tries; t++) {
        (void)sudoku_generate(s, r, 0, puzzle, solution);
        int rating = sudoku_harden(s, r, min_rating, -1, 0, puzzle, solution);
        if (rating >= min_rating) return rating;
    }
    return -1;
}

/* A number that two boards share when one is the other with its digits renamed (FNV-1a of the board with digits named in the
 * order in which they come). Splits by it keep test solutions and their relabellings out of the training set. */
PUZZLES_API uint64_t sudoku_class(const sudoku_shape *s, const uint8_t *solution)
{
    uint8_t name[SUDOKU_MAX_SIZE + 1] = {0}, names = 0;
    uint64_t hash = 0xcbf29ce484222325u;
    for (int c = 0; c < s->cells; c++) {
        uint8_t d = solution[c];
        if (d && !name[d]) name[d] = ++names;
        hash = (hash ^ (d ? name[d] : 0u)) * 0x100000001b3u;
    }
    return hash;
}

PUZZLES_API void sudoku__axis(hrm_random *r, int size, int thickness, uint8_t *from)
{
    /* bands of `thickness` lines change places, and the lines within each */
    int32_t bands[SUDOKU_MAX_SIZE], lines[SUDOKU_MAX_SIZE];
    int n = size / thickness;
    for (int i = 0; i < n; i++) bands[i] = i;
    hrm_random_shuffle(r, bands, (uint32_t)n);
    for (int i = 0; i < n; i++) {
        for (int k = 0; k < thickness; k++) lines[k] = k;
        hrm_random_shuffle(r, lines, (uint32_t)thickness);
        for (int k = 0; k < thickness; k++) from[i * thickness + k] = (uint8_t)(bands[i] * thickness + lines[k]);
    }
}

/* A symmetry of Sudoku, drawn at random: cell c of the variant is cell from[c] of the board, where digit d is called digit[d]
 * (0 stays 0). from [cells], digit [size + 1]. Rows, columns, bands, stacks and, where boxes are square, transposition. */
PUZZLES_API void sudoku_symmetry(const sudoku_shape *s, hrm_random *r, uint8_t *from, uint8_t *digit)
{
    int32_t digits[SUDOKU_MAX_SIZE];
    uint8_t rows[SUDOKU_MAX_SIZE], cols[SUDOKU_MAX_SIZE];
    for (int d = 0; d < s->size; d++) digits[d] = d + 1;
    hrm_random_shuffle(r, digits, (uint32_t)s->size);
    digit[0] = 0;
    for (int d = 0; d < s->size; d++) digit[d + 1] = (uint8_t)digits[d];
    int transpose = s->box_rows == s->box_cols && (hrm_random_u32(r) & 1);
    sudoku__axis(r, s->size, s->box_rows, rows);
    sudoku__axis(r, s->size, s->box_cols, cols);
    for (int i = 0; i < s->size; i++)
        for (int j = 0; j < s->size; j++)
            from[i * s->size + j] = (uint8_t)(transpose ? cols[j] * s->size + rows[i] : rows[i] * s->size + cols[j]);
}

/* ==================================================================================================== mazes ==============
 * As in the published Maze-Hard set: every cell is a wall with a probability near 0.37, start and goal far apart, and the
 * answer the shortest path that breadth-first search from the start finds when it looks down, left, right, up. (That order
 * reproduces the published answers where several paths are shortest; a label that is a function of the maze can be learnt.)
 */
enum { MAZE_MAX_SIZE = 128, MAZE_MAX_CELLS = MAZE_MAX_SIZE * MAZE_MAX_SIZE };

/* Steps from cell `start` to each cell, walls excepted; -1 where there is no way. distance, queue and parent are [rows * cols];
 * parent (may be NULL) is the cell before on the path, -1 at the start. Any character but '#' is floor. Returns the number of
 * cells reached; queue holds them by distance. */
PUZZLES_API int maze_bfs(const char *maze, int rows, int cols, int start, int32_t *distance, int32_t *queue, int32_t *parent)
{
    int head = 0, tail = 0;
    for (int c = 0; c < rows * cols; c++) distance[c] = -1;
    if (parent)
        for (int c = 0; c < rows * cols; c++) parent[c] = -1;
    distance[start] = 0;
    queue[tail++] = start;
    while (head < tail) {
        int c = queue[head++], row = c / cols, col = c % cols;
        int next[4] = {row + 1 < rows ? c + cols : -1, col > 0 ? c - 1 : -1, col + 1 < cols ? c + 1 : -1,
                       row > 0 ? c - cols : -1};
        for (int k = 0; k < 4; k++) {
            int n = next[k];
            if (n < 0 || maze[n] == '#' || distance[n] >= 0) continue;
            distance[n] = distance[c] + 1;
            if (parent) parent[n] = c;
            queue[tail++] = n;
        }
    }
    return tail;
}

/* question, answer [size * size]: draws the way from S to G into answer, of the shortest the one that goes down, else left,
 * right, up first, seen from S. Returns its cells, S and G counted, or 0 when there is none. */
PUZZLES_API int maze_answer(const char *question, int size, char *answer)
{
    int32_t distance[MAZE_MAX_CELLS], queue[MAZE_MAX_CELLS], parent[MAZE_MAX_CELLS];
    int start = -1, goal = -1;
    for (int c = 0; c < size * size; c++) {
        answer[c] = question[c];
        if (question[c] == 'S') start = c;
        if (question[c] == 'G') goal = c;
    }
    if (start < 0 || goal < 0) return 0;
    (void)maze_bfs(question, size, size, start, distance, queue, parent);
    if (distance[goal] < 0) return 0;
    for (int c = parent[goal]; c != start; c = parent[c]) answer[c] = 'o';
    return distance[goal] + 1;
}

/* The default of the shortest path, in cells with start and goal: 110 at 30x30, in proportion to the area below, the side
 * above. */
PUZZLES_API int maze_default_path(int size)
{
    int cells = size < 30 ? 110 * size * size / 900 : 110 * size / 30;
    return cells < 3 ? 3 : cells;
}

/* A size x size maze (3 to MAZE_MAX_SIZE) whose shortest path from S to G has at least min_path cells, both ends counted;
 * question and answer are [size * size]. Returns the cells of the path, or 0 when a million drawings had none that long. */
PUZZLES_API int maze_generate(hrm_random *r, int size, int min_path, char *question, char *answer)
{
    int32_t distance[MAZE_MAX_CELLS], queue[MAZE_MAX_CELLS];
    int cells = size * size;
    for (int t = 0; t < 1000000; t++) {
        double wall = 0.31 + 0.13 * hrm_random_uniform(r);
        uint32_t threshold = (uint32_t)(wall * 65536), floor = 0;
        for (int c = 0; c < cells; c += 2) { /* 16 random bits a cell */
            uint32_t bits = hrm_random_u32(r);
            question[c] = (bits & 0xffff) < threshold ? '#' : ' ';
            if (c + 1 < cells) question[c + 1] = bits >> 16 < threshold ? '#' : ' ';
        }
        for (int c = 0; c < cells; c++) floor += question[c] == ' ';
        if ((int)floor < min_path) continue;
        for (int attempt = 0; attempt < 4; attempt++) {
            int start = (int)hrm_random_below(r, (uint32_t)cells);
            if (question[start] == '#') continue;
            int reached = maze_bfs(question, size, size, start, distance, queue, NULL), close = reached;
            while (close > 0 && distance[queue[close - 1]] + 1 >= min_path) close--;
            if (close == reached) {
                if (reached > cells / 4) break; /* the large region, and nothing is that far from here: draw another maze */
                continue;
            }
            int goal = queue[close + (int)hrm_random_below(r, (uint32_t)(reached - close))];
            question[start] = 'S';
            question[goal] = 'G';
            return maze_answer(question, size, answer);
        }
    }
    return 0;
}

#endif
