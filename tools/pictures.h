/* pictures.h - Sudokus, mazes, ARC grids and grids of other tokens as panels on a sheet, with titles and a legend. hrm.h,
 * canvas.h and score.h come before it. What carries meaning differs by shape or weight as well as by colour, and the colours
 * are Okabe and Ito's; ARC's own are the official ones, with the number of the colour in the cell.
 *
 *   picture_panel panels[2];
 *   panels[0] = picture_panel_make(PICTURE_SUDOKU, 9, inputs, NULL, NULL, "puzzle");
 *   panels[1] = picture_panel_make(PICTURE_SUDOKU, 9, inputs, answer, labels, "prediction");
 *   picture_sheet sheet = picture_sheet_make("title", panels, 2, 2);
 *   picture_sheet_draw(&canvas, &sheet);                                   creates the canvas
 *
 * Boards of a sheet stand where their sizes put them: captions wrap, and are cut where two lines are not enough. A story is one
 * board and the answers that it got, segment by segment, as the frames of an animation.
 *
 * Boards are tokens of the data sets (score.h names a maze's); anything else in a board, as the -100 of an ignored label, is
 * blank.
 */
#ifndef HRM_TOOLS_PICTURES_H
#define HRM_TOOLS_PICTURES_H

#include "canvas.h"
#include "score.h"

typedef enum picture_kind {
    PICTURE_SUDOKU,           /* the puzzle, and the answer where there is one; marked against the truth where there is one */
    PICTURE_MAZE,             /* walls, start, goal */
    PICTURE_MAZE_TRUE,        /* with the path of the truth */
    PICTURE_MAZE_PREDICTED,   /* with the path of the answer */
    PICTURE_MAZE_DIFFERENCES, /* answer against truth */
    PICTURE_ARC,              /* the answer, marked against the truth where there is one */
    PICTURE_GRID              /* tokens of one's own: the answer, or the input where there is none */
} picture_kind;

typedef struct picture_panel {
    picture_kind   kind;
    int            side;                    /* cells each way of the board in memory */
    int            top, left, rows, cols;   /* the part of it that is shown */
    int            cell;                    /* units */
    const int32_t *input, *answer, *truth;  /* [side * side]; answer and truth may be NULL */
    const char *const *tokens;              /* of a grid: what its numbers stand for, [vocabulary] */
    int            vocabulary;
    char           title[64], note[96];     /* above and below */
} picture_panel;

enum {
    PICTURE_ARC_SIDE = 30,
    PICTURE_WALL = 0x565C64,
    PICTURE_GIVEN = 0xE6E6E6,
    PICTURE_WRONG = 0xFBE3D4,
    PICTURE_CHANGED = 0xFFF0B8
};

static inline unsigned picture_arc_colour(int colour)
{
    static const unsigned palette[10] = {0x000000, 0x0074D9, 0xFF4136, 0x2ECC40, 0xFFDC00,
                                         0xAAAAAA, 0xF012BE, 0xFF851B, 0x7FDBFF, 0x870C25};
    return palette[colour];
}

static inline int picture__is_colour(int32_t token) { return token >= 2 && token <= 11; }

/* Where the grid lies in a board: the box around its colours, wherever it was moved to. 0 when there are none. */
static inline int picture_arc_find(const int32_t *board, int side, int *top, int *left, int *rows, int *cols)
{
    int y0 = side, x0 = side, y1 = -1, x1 = -1;
    for (int y = 0; y < side; y++)
        for (int x = 0; x < side; x++)
            if (picture__is_colour(board[y * side + x])) {
                if (y < y0) y0 = y;
                if (y > y1) y1 = y;
                if (x < x0) x0 = x;
                if (x > x1) x1 = x;
            }
    if (y1 < 0) return 0;
    *top = y0, *left = x0, *rows = y1 - y0 + 1, *cols = x1 - x0 + 1;
    return 1;
}

/* What an answer says: the largest rectangle of colours whose corner is (top, left); rows and cols are 0 when there is none. */
static inline void picture_arc_crop(const int32_t *board, int side, int top, int left, int *rows, int *cols)
{
    int width = side - left;
    *rows = *cols = 0;
    for (int y = top; y < side; y++) {
        int x = 0;
        while (x < width && picture__is_colour(board[y * side + left + x])) x++;
        width = x;
        if ((y - top + 1) * width > *rows * *cols) *rows = y - top + 1, *cols = width;
    }
}

static inline picture_panel picture_panel_make(picture_kind kind, int side, const int32_t *input, const int32_t *answer,
                                               const int32_t *truth, const char *title)
{
    picture_panel p;
    memset(&p, 0, sizeof p);
    p.kind = kind, p.side = p.rows = p.cols = side;
    p.input = input, p.answer = answer, p.truth = truth;
    p.cell = kind == PICTURE_SUDOKU ? (side >= 9 ? 38 : 46) : side >= 24 ? 14 : side >= 16 ? 18 : 24;
    snprintf(p.title, sizeof p.title, "%.63s", title);
    return p;
}

/* A grid of tokens, rows x cols of a board that is `stride` wide; what stands around it is padding. */
static inline picture_panel picture_panel_grid(int stride, int rows, int cols, const char *const *tokens, int vocabulary,
                                               const int32_t *input, const int32_t *answer, const int32_t *truth,
                                               const char *title)
{
    picture_panel p = picture_panel_make(PICTURE_GRID, stride, input, answer, truth, title);
    int most = rows > cols ? rows : cols;
    p.rows = rows, p.cols = cols, p.tokens = tokens, p.vocabulary = vocabulary;
    p.cell = most > 48 ? 14 : most > 24 ? 18 : most > 12 ? 26 : 36;
    return p;
}

/* A gap in a sheet. */
static inline picture_panel picture_panel_empty(void)
{
    picture_panel p;
    memset(&p, 0, sizeof p);
    p.kind = PICTURE_ARC;
    return p;
}

/* One scale for panels that belong together, as large as fits `pixels` each way. */
static inline void picture_panels_scale(picture_panel *p, int count, int pixels)
{
    int most = 1;
    for (int k = 0; k < count; k++) {
        if (p[k].rows > most) most = p[k].rows;
        if (p[k].cols > most) most = p[k].cols;
    }
    int cell = pixels / most;
    for (int k = 0; k < count; k++) p[k].cell = cell < 4 ? 4 : cell > 30 ? 30 : cell;
}

/* An ARC panel shows `answer`: a demonstration's grid, a prediction (with its truth) or the truth. */
static inline picture_panel picture_panel_arc(int side, const int32_t *answer, const int32_t *truth, const char *title)
{
    picture_panel p = picture_panel_make(PICTURE_ARC, side, answer, answer, truth, title);
    int rows = 0, cols = 0;
    if (truth && picture_arc_find(truth, side, &p.top, &p.left, &rows, &cols)) {
        picture_arc_crop(answer, side, p.top, p.left, &p.rows, &p.cols);
        if (p.rows != rows || p.cols != cols)
            snprintf(p.note, sizeof p.note, "%d x %d, expected %d x %d", p.rows, p.cols, rows, cols);
    } else if (!picture_arc_find(answer, side, &p.top, &p.left, &p.rows, &p.cols)) {
        p.rows = p.cols = 0;
    }
    if (!p.rows) snprintf(p.note, sizeof p.note, "no grid");
    if (!p.rows) p.rows = p.cols = 1;
    return p;
}

/* ---- boards -------------------------------------------------------------------------------------------------------------- */

static inline void picture__sudoku_net(canvas *c, int x0, int y0, const picture_panel *p)
{
    int n = p->side, cell = p->cell, box_rows = n == 9 ? 3 : 2, box_cols = n / box_rows;
    for (int i = 0; i <= n; i++) {
        int across = i % box_rows == 0, down = i % box_cols == 0;
        if (!across) canvas_rect(c, x0, y0 + i * cell, n * cell, 1, 0xB0B0B0);
        if (!down) canvas_rect(c, x0 + i * cell, y0, 1, n * cell, 0xB0B0B0);
    }
    for (int i = 0; i <= n; i++) {
        if (i % box_rows == 0) canvas_rect(c, x0 - 1, y0 + i * cell - 1, n * cell + 3, 3, CANVAS_INK);
        if (i % box_cols == 0) canvas_rect(c, x0 + i * cell - 1, y0 - 1, 3, n * cell + 3, CANVAS_INK);
    }
}

static inline void picture__sudoku(canvas *c, int x0, int y0, const picture_panel *p)
{
    /* cells, givens, what was found, what is wrong: one after the other, as an SVG drawing joins what is alike */
    int n = p->side, cell = p->cell;
    for (int pass = 0; pass < 4; pass++)
        for (int i = 0; i < n * n; i++) {
            int x = x0 + i % n * cell, y = y0 + i / n * cell;
            int given = p->input[i] >= 2 && p->input[i] <= n + 1;
            int32_t token = p->answer ? p->answer[i] : p->input[i];
            int wrong = p->answer && p->truth && token != p->truth[i];
            if (pass == 0 && (wrong || given)) canvas_rect(c, x, y, cell, cell, wrong ? PICTURE_WRONG : PICTURE_GIVEN);
            if (pass == (wrong ? 3 : given ? 1 : 2) && token >= 2 && token <= n + 1) {
                char text[2] = {(char)('0' + token - 1), 0};
                canvas_style style = canvas_style_make(cell * 0.46,
                                                       wrong   ? CANVAS_VERMILION
                                                       : given ? CANVAS_BLACK
                                                               : CANVAS_BLUE,
                                                       CANVAS_CENTRE);
                style.weight = given ? 0.19 : 0.115;
                canvas_text(c, x + cell * (wrong ? 0.42 : 0.5), y + cell * (wrong ? 0.67 : 0.73), text, style);
            }
            if (pass < 3 || !wrong) continue; /* framed, with the right digit in the corner */
            canvas_frame(c, x + 3, y + 3, cell - 5, cell - 5, cell / 20 > 1 ? cell / 20 : 1, CANVAS_VERMILION);
            if (p->truth[i] >= 2 && p->truth[i] <= n + 1) {
                char text[2] = {(char)('0' + p->truth[i] - 1), 0};
                canvas_text(c, x + cell * 0.79, y + cell * 0.87, text,
                            canvas_style_make(cell * 0.24, CANVAS_BLACK, CANVAS_CENTRE));
            }
        }
    picture__sudoku_net(c, x0, y0, p);
}

static inline void picture__start(canvas *c, double x, double y, double cell)
{
    canvas_style style = canvas_style_make(cell * 0.62, CANVAS_WHITE, CANVAS_CENTRE);
    style.weight = 0.19;
    canvas_disc(c, x, y, cell * 0.72, CANVAS_WHITE);
    canvas_disc(c, x, y, cell * 0.62, CANVAS_GREEN);
    canvas_text(c, x, y + cell * 0.31, "S", style);
}

static inline void picture__goal(canvas *c, double x, double y, double cell)
{
    canvas_style style = canvas_style_make(cell * 0.62, CANVAS_WHITE, CANVAS_CENTRE);
    int half = (int)(cell * 0.58 + 0.5), edge = half + (int)(cell * 0.1 + 0.5), left = (int)x, top = (int)y;
    style.weight = 0.19;
    canvas_rect(c, left - edge, top - edge, 2 * edge + 1, 2 * edge + 1, CANVAS_WHITE);
    canvas_rect(c, left - half, top - half, 2 * half + 1, 2 * half + 1, 0x8C3C78);
    canvas_text(c, left + 0.5, top + 0.5 + cell * 0.31, "G", style);
}

static inline void picture__maze_path(canvas *c, int x0, int y0, const picture_panel *p, const int32_t *board, unsigned colour,
                                      double thickness)
{
    /* steps between neighbouring path cells; a cell without any is a dot, so nothing that was predicted stays unseen */
    for (int i = 0; i < p->side * p->side; i++) {
        double x = x0 + (i % p->side + 0.5) * p->cell, y = y0 + (i / p->side + 0.5) * p->cell;
        int here = board[i] == SCORE_PATH, start = board[i] == SCORE_START || board[i] == SCORE_GOAL;
        if (here) canvas__gather(c, x, y, x, y, thickness / 2);
        for (int k = 0; k < 2; k++) {
            int j = k ? i + p->side : i + 1;
            if (k ? j >= p->side * p->side : j % p->side == 0) continue;
            int there = board[j] == SCORE_PATH, end = board[j] == SCORE_START || board[j] == SCORE_GOAL;
            if ((here && (there || end)) || (start && there))
                canvas__gather(c, x, y, k ? x : x + p->cell, k ? y + p->cell : y, thickness / 2);
        }
    }
    canvas__lay(c, colour, 1);
}

static inline void picture__maze_ground(canvas *c, int x0, int y0, const picture_panel *p)
{
    int n = p->side, cell = p->cell;
    canvas_rect(c, x0, y0, n * cell, n * cell, CANVAS_WHITE);
    for (int down = 0; down < 2 && cell >= 8; down++) /* where one can walk, a faint net helps counting */
        for (int y = 0; y < n; y++)
            for (int x = 0, to; x < n; x = to) {
#define PICTURE__OPEN(x) (p->input[down ? (x) * n + y : y * n + (x)] != SCORE_WALL)
                for (to = x + 1; to < n && PICTURE__OPEN(to) == PICTURE__OPEN(x);) to++;
                if (!PICTURE__OPEN(x)) continue;
#undef PICTURE__OPEN
                if (down) canvas_rect(c, x0 + y * cell, y0 + x * cell, 1, (to - x) * cell, 0xEDEDED);
                else canvas_rect(c, x0 + x * cell, y0 + y * cell, (to - x) * cell, 1, 0xEDEDED);
            }
    for (int y = 0; y < n; y++)
        for (int x = 0, to; x < n; x = to) { /* walls side by side are one */
            int wall = p->input[y * n + x] == SCORE_WALL;
            for (to = x + 1; to < n && (p->input[y * n + to] == SCORE_WALL) == wall;) to++;
            if (wall) canvas_rect(c, x0 + x * cell, y0 + y * cell, (to - x) * cell, cell, PICTURE_WALL);
        }
    canvas_frame(c, x0 - 2, y0 - 2, n * cell + 4, n * cell + 4, 2, CANVAS_INK);
}

static inline void picture__maze_ends(canvas *c, int x0, int y0, const picture_panel *p)
{
    for (int i = 0; i < p->side * p->side; i++) {
        double x = x0 + (i % p->side + 0.5) * p->cell, y = y0 + (i / p->side + 0.5) * p->cell;
        double size =
            p->cell > 16 ? 16 + (p->cell - 16) * 0.2 : p->cell; /* in small cells they stand out, larger ones hold them */
        if (p->input[i] == SCORE_START) picture__start(c, x, y, size);
        if (p->input[i] == SCORE_GOAL) picture__goal(c, x, y, size);
    }
}

static inline void picture__maze(canvas *c, int x0, int y0, const picture_panel *p)
{
    int n = p->side, cell = p->cell;
    picture__maze_ground(c, x0, y0, p);
    if (p->kind == PICTURE_MAZE_TRUE && p->truth) picture__maze_path(c, x0, y0, p, p->truth, CANVAS_BLUE, cell * 0.36);
    if (p->kind == PICTURE_MAZE_PREDICTED && p->answer) {
        picture__maze_path(c, x0, y0, p, p->answer, CANVAS_WHITE, cell * 0.5); /* an edge, for steps through walls */
        picture__maze_path(c, x0, y0, p, p->answer, CANVAS_VERMILION, cell * 0.36);
    }
    for (int i = 0; i < n * n; i++) {
        double x = x0 + (i % n + 0.5) * cell, y = y0 + (i / n + 0.5) * cell;
        if (p->kind == PICTURE_MAZE_DIFFERENCES && p->answer && p->truth) {
            int was = p->truth[i] == SCORE_PATH, is = p->answer[i] == SCORE_PATH;
            if (was && is) canvas_disc(c, x, y, cell * 0.16, CANVAS_GREY);
            else if (was) canvas_ring(c, x, y, cell * 0.3, cell * 0.14, CANVAS_BLUE);
            else if (p->answer[i] != p->truth[i]) {
                canvas_cross(c, x, y, cell * 0.28, cell * 0.32, CANVAS_WHITE);
                canvas_cross(c, x, y, cell * 0.28, cell * 0.16, CANVAS_VERMILION);
            }
        }
    }
    picture__maze_ends(c, x0, y0, p);
}

static inline void picture__arc_cell(canvas *c, int x, int y, int cell, int colour)
{
    unsigned paint = picture_arc_colour(colour);
    int bright = colour == 3 || colour == 4 || colour == 5 || colour == 7 || colour == 8;
    canvas_rect(c, x, y, cell, cell, paint);
    if (cell >= 12 && colour > 0) { /* the number, for those who do not tell the colours apart; quiet for those who do */
        char text[2] = {(char)('0' + colour), 0};
        canvas_text(c, x + cell * 0.5 + 0.5, y + cell * 0.68, text,
                    canvas_style_make(cell * 0.36, canvas_mix(paint, bright ? 0 : 0xFFFFFF, 0.5), CANVAS_CENTRE));
    }
}

static inline void picture__arc(canvas *c, int x0, int y0, const picture_panel *p)
{
    int cell = p->cell, missing = 0;
    if (!p->rows) return; /* a gap in the sheet */
    for (int y = 0; y < p->rows; y++)
        for (int x = 0; x < p->cols; x++) {
            int at = (p->top + y) * p->side + p->left + x, px = x0 + x * cell, py = y0 + y * cell;
            if (!picture__is_colour(p->answer[at])) {
                missing = 1;
                continue;
            }
            picture__arc_cell(c, px, py, cell, (int)p->answer[at] - 2);
        }
    for (int y = 0; y <= p->rows; y++) canvas_rect(c, x0, y0 + y * cell, p->cols * cell + 1, 1, 0x606060);
    for (int x = 0; x <= p->cols; x++) canvas_rect(c, x0 + x * cell, y0, 1, p->rows * cell + 1, 0x606060);
    if (missing) return;
    for (int y = 0; p->truth && y < p->rows; y++)
        for (int x = 0; x < p->cols; x++) {
            int at = (p->top + y) * p->side + p->left + x;
            if (p->answer[at] == p->truth[at]) continue;
            double px = x0 + (x + 0.5) * cell + 0.5, py = y0 + (y + 0.5) * cell + 0.5, r = cell * 0.3;
            canvas_cross(c, px, py, r, cell * 0.24 > 3 ? cell * 0.24 : 3, CANVAS_BLACK);
            canvas_cross(c, px, py, r, cell * 0.12 > 1.4 ? cell * 0.12 : 1.4, CANVAS_WHITE);
        }
}

static inline unsigned picture__token_colour(const picture_panel *p, int32_t token)
{
    /* blanks white, other tokens pale and different as far as eight colours go: the text in the cell tells them */
    static const unsigned pale[8] = {CANVAS_BLUE, CANVAS_VERMILION, CANVAS_GREEN, 0xE69F00,
                                     0xCC79A7,    0x56B4E9,         0xF0E442,     CANVAS_BLACK};
    const char *text = p->tokens && token > 0 && token < p->vocabulary ? p->tokens[token] : NULL;
    if (token <= 0 || (text && text[0] && !text[1] && strchr(". _0", text[0]))) return CANVAS_WHITE;
    return canvas_mix(CANVAS_WHITE, pale[(token - 1) % 8], 0.3);
}

static inline void picture__token(canvas *c, double x, double y, double size, double room, const picture_panel *p,
                                  int32_t token, unsigned colour)
{
    /* its text, or its number where this font has not all its letters */
    char number[16];
    const char *text = p->tokens && token >= 0 && token < p->vocabulary ? p->tokens[token] : NULL;
    for (const char *b = text; b && *b; b++)
        if ((unsigned char)*b < 32 || (unsigned char)*b > 126) text = NULL;
    if (token < 0) return;
    if (!text) snprintf(number, sizeof number, "%d", (int)token), text = number;
    if (token == 0) text = "?";
    double width = canvas_text_width(text, size);
    if (width > room) size *= room / width;
    canvas_text(c, x, y + size * 0.5, text, canvas_style_make(size, colour, CANVAS_CENTRE));
}

static inline int picture__grid_wrong(const picture_panel *p, int at)
{
    return p->answer && p->truth && p->truth[at] >= 0 && p->answer[at] != p->truth[at];
}

static inline void picture__grid(canvas *c, int x0, int y0, const picture_panel *p)
{
    int cell = p->cell;
    for (int y = 0; y < p->rows; y++)
        for (int x = 0; x < p->cols; x++) {
            int at = y * p->side + x, px = x0 + x * cell, py = y0 + y * cell, wrong = picture__grid_wrong(p, at);
            int32_t token = p->answer ? p->answer[at] : p->input[at];
            double size = cell * 0.46, shift = wrong ? 0.43 : 0.5; /* room for the right one */
            canvas_rect(c, px, py, cell, cell, wrong ? PICTURE_WRONG : picture__token_colour(p, token));
            picture__token(c, px + cell * shift, py + cell * shift, size, cell * (wrong ? 0.6 : 0.8), p, token,
                           wrong ? CANVAS_VERMILION : CANVAS_BLACK);
            if (!wrong) continue; /* framed, with the right token in the corner */
            canvas_frame(c, px + 3, py + 3, cell - 5, cell - 5, cell / 20 > 1 ? cell / 20 : 1, CANVAS_VERMILION);
            picture__token(c, px + cell * 0.77, py + cell * 0.77, cell * 0.24, cell * 0.3, p, p->truth[at], CANVAS_BLACK);
        }
    for (int y = 0; y <= p->rows; y++) canvas_rect(c, x0, y0 + y * cell, p->cols * cell + 1, 1, 0x909090);
    for (int x = 0; x <= p->cols; x++) canvas_rect(c, x0 + x * cell, y0, 1, p->rows * cell + 1, 0x909090);
}

/* ---- sheets -------------------------------------------------------------------------------------------------------------- */

typedef struct picture_sheet {
    const char          *title, *subtitle; /* subtitle may be NULL */
    const picture_panel *panels;
    int                  count, columns;
    int                  group;            /* panels that belong together; more room between groups [columns] */
    int                  scale;            /* pixels a unit, or CANVAS_SVG [CANVAS_SCALE] */
} picture_sheet;

static inline picture_sheet picture_sheet_make(const char *title, const picture_panel *panels, int count, int columns)
{
    picture_sheet s;
    memset(&s, 0, sizeof s);
    s.title = title, s.panels = panels, s.count = count, s.columns = columns, s.scale = CANVAS_SCALE;
    return s;
}

typedef enum picture__mark {
    PICTURE__GIVEN,
    PICTURE__FILLED,
    PICTURE__WRONG_DIGIT,
    PICTURE__CHANGED,
    PICTURE__CLASH,
    PICTURE__CHANGED_CELL,
    PICTURE__WALL,
    PICTURE__START,
    PICTURE__GOAL,
    PICTURE__TRUE_PATH,
    PICTURE__PREDICTED_PATH,
    PICTURE__BOTH,
    PICTURE__MISSED,
    PICTURE__EXTRA,
    PICTURE__ARC_WRONG,
    PICTURE__TOKEN_WRONG,
    PICTURE__PALETTE,
    PICTURE__MARKS
} picture__mark;

static inline unsigned picture__marks_of(const picture_panel *p)
{
    /* which entries of the legend a panel calls for, one bit each */
    unsigned marks = 0;
    if (p->kind == PICTURE_SUDOKU) {
        marks |= 1u << PICTURE__GIVEN | (p->answer ? 1u << PICTURE__FILLED : 0);
        for (int i = 0; p->answer && p->truth && i < p->side * p->side; i++)
            if (p->answer[i] != p->truth[i]) marks |= 1u << PICTURE__WRONG_DIGIT;
    } else if (p->kind == PICTURE_GRID) {
        for (int y = 0; y < p->rows; y++)
            for (int x = 0; x < p->cols; x++)
                if (picture__grid_wrong(p, y * p->side + x)) marks |= 1u << PICTURE__TOKEN_WRONG;
    } else if (p->kind == PICTURE_ARC) {
        marks |= p->rows ? 1u << PICTURE__PALETTE : 0;
        for (int y = 0; p->truth && y < p->rows; y++)
            for (int x = 0; x < p->cols; x++) {
                int at = (p->top + y) * p->side + p->left + x;
                if (at < p->side * p->side && p->answer[at] != p->truth[at]) marks |= 1u << PICTURE__ARC_WRONG;
            }
    } else {
        marks |= 1u << PICTURE__WALL | 1u << PICTURE__START | 1u << PICTURE__GOAL;
        if (p->kind == PICTURE_MAZE_TRUE) marks |= 1u << PICTURE__TRUE_PATH;
        if (p->kind == PICTURE_MAZE_PREDICTED) marks |= 1u << PICTURE__PREDICTED_PATH;
        if (p->kind == PICTURE_MAZE_DIFFERENCES) marks |= 1u << PICTURE__BOTH | 1u << PICTURE__MISSED | 1u << PICTURE__EXTRA;
    }
    return marks;
}

static inline void picture__mark_changed(canvas *c, int x, int y, int cell)
{
    /* a bar at the foot of the cell */
    int high = cell / 11 > 2 ? cell / 11 : 2, room = cell / 5;
    canvas_rect(c, x + room, y + cell - 1 - high - high / 2, cell + 1 - 2 * room, high, CANVAS_ORANGE);
}

enum { PICTURE__ICON = 20, PICTURE__LINE = 32 }; /* of the legend */

static inline double picture__legend_entry(canvas *c, picture__mark mark, double x, double y)
{
    /* draws an entry whose icon is centred at height y; c NULL: only measures. -> its width */
    static const char *const texts[PICTURE__MARKS] = {"given",
                                                      "found",
                                                      "wrong, small: the right digit",
                                                      "changed",
                                                      "clashes",
                                                      "changed",
                                                      "wall",
                                                      "start",
                                                      "goal",
                                                      "true path",
                                                      "predicted path",
                                                      "in both",
                                                      "missed",
                                                      "not on the true path",
                                                      "wrong cell",
                                                      "wrong, small: the right token",
                                                      ""};
    const int icon = PICTURE__ICON;
    double width = (mark == PICTURE__PALETTE ? 10 * (icon + 4) : icon) + 9 + canvas_text_width(texts[mark], 10);
    if (!c) return width;
    int ix = (int)x, iy = (int)y - icon / 2;
    double cx = ix + icon / 2.0, cy = iy + icon / 2.0;
    canvas_style text = canvas_style_make(10, CANVAS_INK, CANVAS_LEFT),
                 digit = canvas_style_make(11, CANVAS_BLACK, CANVAS_CENTRE);
    digit.weight = 0.19;
    switch (mark) {
    case PICTURE__GIVEN:
        canvas_rect(c, ix, iy, icon, icon, PICTURE_GIVEN);
        canvas_text(c, cx, cy + 5.5, "5", digit);
        canvas_frame(c, ix, iy, icon, icon, 1, 0xB0B0B0);
        break;
    case PICTURE__FILLED:
        digit.weight = 0.115, digit.colour = CANVAS_BLUE;
        canvas_text(c, cx, cy + 5.5, "5", digit);
        canvas_frame(c, ix, iy, icon, icon, 1, 0xB0B0B0);
        break;
    case PICTURE__WRONG_DIGIT:
        digit.weight = 0.115, digit.colour = CANVAS_VERMILION;
        canvas_rect(c, ix, iy, icon, icon, PICTURE_WRONG);
        digit.size = 9;
        canvas_text(c, cx - 1.5, cy + 3.5, "5", digit);
        canvas_text(c, ix + 15, iy + 17, "7", canvas_style_make(5.5, CANVAS_BLACK, CANVAS_CENTRE));
        canvas_frame(c, ix + 2, iy + 2, icon - 4, icon - 4, 1, CANVAS_VERMILION);
        canvas_frame(c, ix, iy, icon, icon, 1, 0xB0B0B0);
        break;
    case PICTURE__CHANGED:
        canvas_rect(c, ix, iy, icon, icon, PICTURE_CHANGED);
        picture__mark_changed(c, ix, iy, icon);
        canvas_frame(c, ix, iy, icon, icon, 1, 0xB0B0B0);
        break;
    case PICTURE__CLASH:
        digit.weight = 0.115, digit.colour = CANVAS_VERMILION;
        canvas_rect(c, ix, iy, icon, icon, PICTURE_WRONG);
        canvas_text(c, cx, cy + 5.5, "5", digit);
        canvas_frame(c, ix + 2, iy + 2, icon - 4, icon - 4, 1, CANVAS_VERMILION);
        canvas_frame(c, ix, iy, icon, icon, 1, 0xB0B0B0);
        break;
    case PICTURE__CHANGED_CELL:
        canvas_rect(c, ix, iy, icon, icon, 0xFFD75E);
        canvas_frame(c, ix, iy, icon, icon, 1, 0xB0B0B0);
        break;
    case PICTURE__WALL: canvas_rect(c, ix, iy, icon, icon, PICTURE_WALL); break;
    case PICTURE__START: picture__start(c, cx, cy, 15); break;
    case PICTURE__GOAL: picture__goal(c, cx, cy, 15); break;
    case PICTURE__TRUE_PATH: canvas_line(c, ix + 2, cy, ix + icon - 2, cy, 5, CANVAS_BLUE); break;
    case PICTURE__PREDICTED_PATH: canvas_line(c, ix + 2, cy, ix + icon - 2, cy, 5, CANVAS_VERMILION); break;
    case PICTURE__BOTH: canvas_disc(c, cx, cy, 3.2, CANVAS_GREY); break;
    case PICTURE__MISSED: canvas_ring(c, cx, cy, 6, 2.8, CANVAS_BLUE); break;
    case PICTURE__EXTRA: canvas_cross(c, cx, cy, 5.5, 3.2, CANVAS_VERMILION); break;
    case PICTURE__ARC_WRONG:
        canvas_rect(c, ix, iy, icon, icon, 0x7FDBFF);
        canvas_cross(c, cx, cy, 6, 5, CANVAS_BLACK);
        canvas_cross(c, cx, cy, 6, 2.4, CANVAS_WHITE);
        break;
    case PICTURE__TOKEN_WRONG:
        digit.weight = 0.115, digit.colour = CANVAS_VERMILION;
        canvas_rect(c, ix, iy, icon, icon, PICTURE_WRONG);
        digit.size = 9;
        canvas_text(c, cx - 1.5, cy + 3.5, "a", digit);
        canvas_text(c, ix + 15, iy + 17, "b", canvas_style_make(5.5, CANVAS_BLACK, CANVAS_CENTRE));
        canvas_frame(c, ix + 2, iy + 2, icon - 4, icon - 4, 1, CANVAS_VERMILION);
        canvas_frame(c, ix, iy, icon, icon, 1, 0xB0B0B0);
        break;
    case PICTURE__PALETTE:
        for (int i = 0; i < 10; i++) {
            picture__arc_cell(c, ix + i * (icon + 4), iy, icon, i);
            canvas_frame(c, ix + i * (icon + 4), iy, icon, icon, 1, 0x606060);
            if (i == 0)
                canvas_text(c, cx + 0.5, iy + icon * 0.68, "0", canvas_style_make(icon * 0.36, 0x808080, CANVAS_CENTRE));
        }
        break;
    case PICTURE__MARKS: break;
    }
    canvas_text(c, ix + icon + 9, cy + 5, texts[mark], text);
    return width;
}

static inline int picture__legend(canvas *c, unsigned marks, int left, int right, int top)
{
    /* entries from left to right, line by line; c NULL: only measures. -> the height */
    double x = left;
    int lines = 0;
    for (int m = 0; m < PICTURE__MARKS; m++) {
        if (!(marks >> m & 1)) continue;
        double width = picture__legend_entry(NULL, (picture__mark)m, 0, 0);
        if (!lines || x + width > right) x = left, lines++;
        if (c) (void)picture__legend_entry(c, (picture__mark)m, x, top + (lines - 1) * PICTURE__LINE + PICTURE__LINE / 2);
        x += width + 24;
    }
    return lines * PICTURE__LINE;
}

static inline int picture__fit(const char *text, int length, double size, double width, const char *end)
{
    /* how much of a text fits, with `end` behind it; a character at least */
    char line[200];
    int n = length < 190 ? length : 190;
    for (; n > 1; n--) {
        snprintf(line, sizeof line, "%.*s%s", n, text, end);
        if (canvas_text_width(line, size) <= width) break;
    }
    return n;
}

static inline int picture__wrap(canvas *c, double x, double y, const char *text, double width, int most, canvas_style style)
{
    /* as up to `most` lines of that width, the last cut where that is not enough; c NULL: only counts. -> how many */
    int lines = 0;
    while (*text && lines < most) {
        int length = (int)strlen(text), n = picture__fit(text, length, style.size, width, ""), cut = n < length;
        if (cut && lines + 1 < most) { /* at a blank, if there is one */
            int blank = n;
            while (blank > 0 && text[blank] != ' ') blank--;
            if (blank > 0) n = blank;
        } else if (cut) {
            n = picture__fit(text, length, style.size, width, "...");
        }
        char line[200];
        snprintf(line, sizeof line, "%.*s%s", n, text, cut && lines + 1 == most ? "..." : "");
        if (c) canvas_text(c, x, y + lines * style.size * 1.7, line, style);
        text += n + (int)strspn(text + n, " ");
        lines++;
    }
    return lines;
}

enum { PICTURE__MARGIN = 28, PICTURE__COLUMN = 88 /* of a story's table */, PICTURE__WIDEST = 900 /* of a title */ };

static inline void picture__heading(canvas *c, const char *title, const char *subtitle, int right)
{
    canvas_style style = canvas_style_make(14, CANVAS_INK, CANVAS_LEFT);
    style.weight = 0.17;
    double width = right - PICTURE__MARGIN;
    if (title) (void)picture__wrap(c, PICTURE__MARGIN, PICTURE__MARGIN + 12, title, width, 1, style);
    if (subtitle)
        (void)picture__wrap(c, PICTURE__MARGIN, PICTURE__MARGIN + 38, subtitle, width, 1,
                            canvas_style_make(10, CANVAS_GREY, CANVAS_LEFT));
    snprintf(c->title, sizeof c->title, "%.150s", title ? title : "");
}

static inline int picture__heading_right(const char *title, const char *subtitle, int right)
{
    int most = right > PICTURE__WIDEST ? right : PICTURE__WIDEST;
    int one = PICTURE__MARGIN + (title ? (int)canvas_text_width(title, 14) + 4 : 0),
        two = PICTURE__MARGIN + (subtitle ? (int)canvas_text_width(subtitle, 10) + 1 : 0);
    if (one > right) right = one;
    if (two > right) right = two;
    return right < 360 ? 360 : right > most ? most : right;
}

/* Creates the canvas in the size that the sheet needs; an empty one when it fails. */
static inline hrm_status picture_sheet_draw(canvas *c, const picture_sheet *s)
{
    enum { MARGIN = PICTURE__MARGIN, GAP = 26, GROUP_GAP = 30, TITLE = 26, NOTE = 24, NARROWEST = 132 /* a caption's words */ };
    const canvas_style caption = canvas_style_make(11, CANVAS_INK, CANVAS_LEFT),
                       note = canvas_style_make(9, CANVAS_GREY, CANVAS_LEFT);
    int columns = s->columns < s->count ? s->columns : s->count, group = s->group > 0 ? s->group : columns;
    memset(c, 0, sizeof *c);
    if (s->count < 1 || columns < 1) return hrm_error_set(HRM_ERR_ARGUMENT, "a sheet of pictures without any");
    int rows = (s->count + columns - 1) / columns;
    int *at = (int *)calloc((size_t)columns + 3 * (size_t)rows + 3, sizeof(int)); /* where each column and each row begins */
    if (!at) return hrm_error_set(HRM_ERR_MEMORY, "no memory for a sheet of %d pictures", s->count);
    int *column = at, *row = at + columns + 1, *title_lines = row + rows + 1, *note_lines = title_lines + rows;
    unsigned marks = 0;
    for (int i = 0; i < s->count; i++) {
        const picture_panel *p = &s->panels[i];
        int width = p->cols * p->cell, height = p->rows * p->cell;
        if (width < NARROWEST) width = NARROWEST;
        if (width > column[i % columns + 1]) column[i % columns + 1] = width;
        if (height > row[i / columns + 1]) row[i / columns + 1] = height;
        marks |= picture__marks_of(p);
    }
    for (int i = 0; i < s->count; i++) { /* captions take lines of their row, never width */
        double width = column[i % columns + 1];
        int above = picture__wrap(NULL, 0, 0, s->panels[i].title, width, 2, caption),
            below = picture__wrap(NULL, 0, 0, s->panels[i].note, width, 2, note);
        if (above > title_lines[i / columns]) title_lines[i / columns] = above;
        if (below > note_lines[i / columns]) note_lines[i / columns] = below;
    }
    int top = MARGIN + (s->title ? 34 : 0) + (s->subtitle ? 24 : 0);
    column[0] = MARGIN;
    for (int i = 1; i <= columns; i++) column[i] += column[i - 1] + (i == columns ? 0 : i % group == 0 ? GAP + GROUP_GAP : GAP);
    row[0] = top;
    for (int i = 1; i <= rows; i++) {
        int above = TITLE + (title_lines[i - 1] > 1 ? 19 : 0),
            below = note_lines[i - 1] ? NOTE + (note_lines[i - 1] > 1 ? 15 : 0) : 0;
        row[i] += row[i - 1] + above + below + (i == rows ? 0 : GAP);
    }
    int wide = picture__heading_right(s->title, s->subtitle, column[columns]), legend_top = row[rows] + 16;
    hrm_status status = canvas_create(c, s->scale, wide + MARGIN,
                                      legend_top + picture__legend(NULL, marks, MARGIN, wide, 0) + MARGIN / 2, CANVAS_WHITE);
    if (status == HRM_OK) {
        picture__heading(c, s->title, s->subtitle, wide);
        for (int i = 0; i < s->count; i++) {
            const picture_panel *p = &s->panels[i];
            int x = column[i % columns], next = i % columns + 1;
            int width = column[next] - x - (next == columns ? 0 : next % group == 0 ? GAP + GROUP_GAP : GAP);
            int y = row[i / columns] + TITLE + (title_lines[i / columns] > 1 ? 19 : 0);
            int lines = picture__wrap(NULL, 0, 0, p->title, width, 2, caption);
            (void)picture__wrap(c, x, y - 11 - (lines > 1 ? 19 : 0), p->title, width, 2, caption);
            if (p->kind == PICTURE_SUDOKU) picture__sudoku(c, x, y, p);
            else if (p->kind == PICTURE_ARC) picture__arc(c, x, y, p);
            else if (p->kind == PICTURE_GRID) picture__grid(c, x, y, p);
            else picture__maze(c, x, y, p);
            (void)picture__wrap(c, x, y + p->rows * p->cell + 19, p->note, width, 2, note);
        }
        (void)picture__legend(c, marks, MARGIN, wide, legend_top);
    }
    free(at);
    return status;
}

/* ---- stories: how an answer forms ------------------------------------------------------------------------------------------
 */

typedef struct picture_step {
    int            segment;            /* 0: the puzzle itself */
    const int32_t *answer, *before;    /* [side * side]; before: one segment ago, NULL after the first */
    double         q_halt, q_continue;
    int            changed, clashes, halts;
} picture_step;

typedef struct picture_story {
    const char         *title, *subtitle, *verdict; /* verdict: of the last answer, one line */
    picture_panel       board;                      /* without answer and truth */
    const picture_step *steps;
    int                 count;     /* 2 to CANVAS_FRAMES; the puzzle first */
    int                 halt_only; /* there is no q_continue */
    int                 scale;
} picture_story;

typedef enum picture__look {
    PICTURE__BLANK,
    PICTURE__IS_GIVEN,
    PICTURE__IS_FOUND,
    PICTURE__IS_CHANGED,
    PICTURE__IS_CLASH
} picture__look;

static inline void picture__digit(canvas *c, int x, int y, int cell, int32_t token, picture__look look)
{
    static const unsigned colours[] = {CANVAS_BLACK, CANVAS_BLACK, CANVAS_BLUE, CANVAS_BLUE, CANVAS_VERMILION};
    char text[2] = {(char)('0' + token - 1), 0};
    canvas_style style = canvas_style_make(cell * 0.46, colours[look], CANVAS_CENTRE);
    style.weight = look == PICTURE__IS_GIVEN ? 0.19 : 0.115;
    canvas_text(c, x + cell * 0.5, y + cell * 0.73, text, style);
}

static inline void picture__sudoku_story(canvas *c, int x0, int y0, const picture_story *s)
{
    /* a cell changes its look or digit at some frames and keeps it for a range of them; what shares range and look is drawn
     * together, so that an SVG drawing stays small */
    static const unsigned paints[] = {CANVAS_WHITE, PICTURE_GIVEN, CANVAS_WHITE, PICTURE_CHANGED, PICTURE_WRONG};
    const picture_panel *p = &s->board;
    int n = p->side, cell = p->cell;
    uint8_t look[CANVAS_FRAMES][SUDOKU_MAX_CELLS], clash[SUDOKU_MAX_CELLS] = {0};
    for (int k = 0; k < s->count; k++) {
        const picture_step *step = &s->steps[k];
        (void)score_clashes(p->input, step->answer, n, clash);
        for (int i = 0; i < n * n; i++) {
            int blank = step->answer[i] < 2 || step->answer[i] > n + 1;
            look[k][i] = (uint8_t)(clash[i]                                              ? PICTURE__IS_CLASH
                                   : blank                                               ? PICTURE__BLANK
                                   : p->input[i] >= 2                                    ? PICTURE__IS_GIVEN
                                   : step->before && step->before[i] != step->answer[i] ? PICTURE__IS_CHANGED
                                                                                         : PICTURE__IS_FOUND);
        }
    }
    canvas_rect(c, x0, y0, n * cell, n * cell, CANVAS_WHITE);
    for (int from = 0; from < s->count; from++)
        for (int to = from + 1; to <= s->count; to++)
            for (int kind = PICTURE__IS_GIVEN; kind <= PICTURE__IS_CLASH; kind++)
                for (int pass = 0; pass < 3; pass++)
                    for (int i = 0; i < n * n; i++) {
                        const int32_t token = s->steps[from].answer[i];
#define PICTURE__SAME(k) (look[k][i] == kind && s->steps[k].answer[i] == token)
                        int k = from, x = x0 + i % n * cell, y = y0 + i / n * cell;
                        if (look[from][i] != kind || (from > 0 && PICTURE__SAME(from - 1))) continue;
                        while (k < s->count && PICTURE__SAME(k)) k++;
#undef PICTURE__SAME
                        if (k != to) continue;
                        canvas_show(c, from, to);
                        if (pass == 0) canvas_rect(c, x, y, cell, cell, paints[kind]);
                        if (pass == 1 && kind == PICTURE__IS_CHANGED) picture__mark_changed(c, x, y, cell);
                        if (pass == 1 && kind == PICTURE__IS_CLASH)
                            canvas_frame(c, x + 3, y + 3, cell - 5, cell - 5, 1, CANVAS_VERMILION);
                        if (pass == 2 && token >= 2 && token <= n + 1)
                            picture__digit(c, x, y, cell, token, (picture__look)kind);
                    }
    canvas_show(c, 0, s->count);
    picture__sudoku_net(c, x0, y0, p);
}

static inline void picture__maze_story(canvas *c, int x0, int y0, const picture_story *s)
{
    picture_panel p = s->board;
    size_t bytes = (size_t)(p.side * p.side) * sizeof(int32_t);
    picture__maze_ground(c, x0, y0, &p);
    for (int k = 0; k < s->count; k++) {
        canvas_show(c, k, k + 1);
        for (int i = 0; s->steps[k].before && i < p.side * p.side; i++)
            if (s->steps[k].answer[i] != s->steps[k].before[i])
                canvas_rect(c, x0 + i % p.side * p.cell + 1, y0 + i / p.side * p.cell + 1, p.cell - 1, p.cell - 1, 0xFFD75E);
    }
    for (int from = 0, to; from < s->count; from = to) {
        for (to = from + 1; to < s->count && memcmp(s->steps[to].answer, s->steps[from].answer, bytes) == 0;) to++;
        canvas_show(c, from, to);
        picture__maze_path(c, x0, y0, &p, s->steps[from].answer, CANVAS_WHITE, p.cell * 0.5);
        picture__maze_path(c, x0, y0, &p, s->steps[from].answer, CANVAS_VERMILION, p.cell * 0.36);
    }
    canvas_show(c, 0, s->count);
    picture__maze_ends(c, x0, y0, &p);
}

static inline void picture__grid_story(canvas *c, int x0, int y0, const picture_story *s)
{
    const picture_panel *p = &s->board;
    int cell = p->cell;
    for (int i = 0; i < p->rows * p->cols; i++) {
        int at = (p->top + i / p->cols) * p->side + p->left + i % p->cols, x = x0 + i % p->cols * cell,
            y = y0 + i / p->cols * cell;
        for (int from = 0, to; from < s->count; from = to) {
            int32_t token = s->steps[from].answer[at];
            for (to = from + 1; to < s->count && s->steps[to].answer[at] == token;) to++;
            canvas_show(c, from, to);
            if (p->kind == PICTURE_GRID) {
                canvas_rect(c, x, y, cell, cell, picture__token_colour(p, token));
                picture__token(c, x + cell * 0.5, y + cell * 0.5, cell * 0.46, cell * 0.8, p, token, CANVAS_BLACK);
            } else if (picture__is_colour(token)) {
                picture__arc_cell(c, x, y, cell, (int)token - 2);
            } else {
                canvas_rect(c, x, y, cell, cell, CANVAS_WHITE);
            }
        }
    }
    for (int k = 0; k < s->count; k++) { /* what changed is framed, dark and light, over any colour */
        canvas_show(c, k, k + 1);
        for (int pass = 0; pass < 2; pass++)
            for (int i = 0; s->steps[k].before && i < p->rows * p->cols; i++) {
                int at = (p->top + i / p->cols) * p->side + p->left + i % p->cols, edge = 1 + pass;
                if (s->steps[k].answer[at] != s->steps[k].before[at])
                    canvas_frame(c, x0 + i % p->cols * cell + edge, y0 + i / p->cols * cell + edge, cell + 1 - 2 * edge,
                                 cell + 1 - 2 * edge, 1, pass ? 0xFFD75E : CANVAS_BLACK);
            }
    }
    canvas_show(c, 0, s->count);
    for (int y = 0; y <= p->rows; y++) canvas_rect(c, x0, y0 + y * cell, p->cols * cell + 1, 1, 0x606060);
    for (int x = 0; x <= p->cols; x++) canvas_rect(c, x0 + x * cell, y0, 1, p->rows * cell + 1, 0x606060);
}

static inline void picture__story_table(canvas *c, int x0, int y0, double line, const picture_story *s)
{
    /* a line a segment: dark in its own frame, grey from then on */
    int sudoku = s->board.kind == PICTURE_SUDOKU, columns = 3 + !s->halt_only + sudoku, width = columns * PICTURE__COLUMN;
    const char *const names[5] = {"segment", "q halt", s->halt_only ? "changed" : "q continue",
                                  s->halt_only ? "clash" : "changed", "clash"};
    double size = line < 20 ? line * 0.5 : 10;
    for (int i = 0; i < columns; i++)
        canvas_text(c, x0 + (i + 1) * PICTURE__COLUMN - 6, y0 + 9, names[i], canvas_style_make(9, CANVAS_GREY, CANVAS_RIGHT));
    canvas_rect(c, x0, y0 + 19, width, 1, 0xB0B0B0);
    for (int k = 1; k < s->count; k++) {
        const picture_step *step = &s->steps[k];
        char text[5][24];
        int n = 0, y = y0 + 24 + (int)((k - 1) * line);
        snprintf(text[n++], 24, "%d", step->segment);
        snprintf(text[n++], 24, "%.2f", step->q_halt);
        if (!s->halt_only) snprintf(text[n++], 24, "%.2f", step->q_continue);
        snprintf(text[n++], 24, "%d", step->changed);
        if (sudoku) snprintf(text[n++], 24, "%d", step->clashes);
        for (int now = 1; now >= 0; now--) {
            canvas_show(c, now ? k : k + 1, now ? k + 1 : s->count);
            if (c->from >= c->to) continue;
            if (now) canvas_rect(c, x0, y, width, (int)line, 0xE3EEF8);
            for (int i = 0; i < n; i++)
                canvas_text(c, x0 + (i + 1) * PICTURE__COLUMN - 6, y + line * 0.5 + size * 0.5, text[i],
                            canvas_style_make(size, now ? CANVAS_INK : 0x8A8A8A, CANVAS_RIGHT));
        }
    }
    canvas_show(c, s->count - 1, s->count);
    (void)picture__wrap(c, x0, y0 + 24 + (int)((s->count - 1) * line) + 20, s->verdict, width, 2,
                        canvas_style_make(10, CANVAS_INK, CANVAS_LEFT));
    canvas_show(c, 0, s->count);
}

/* Frame `frame` of as many as there are steps, an SVG drawing holds all; creates the canvas, an empty one when it fails. */
static inline hrm_status picture_story_draw(canvas *c, const picture_story *s, int frame)
{
    enum { MARGIN = PICTURE__MARGIN, GAP = 34, TOP = MARGIN + 62 };
    const picture_panel *p = &s->board;
    int sudoku = p->kind == PICTURE_SUDOKU, maze = p->kind == PICTURE_MAZE;
    int width = p->cols * p->cell, height = p->rows * p->cell, table = (3 + !s->halt_only + sudoku) * PICTURE__COLUMN;
    unsigned marks = sudoku ? 1u << PICTURE__GIVEN | 1u << PICTURE__FILLED | 1u << PICTURE__CHANGED | 1u << PICTURE__CLASH
                     : maze ? picture__marks_of(p) | 1u << PICTURE__PREDICTED_PATH | 1u << PICTURE__CHANGED_CELL
                            : 1u << PICTURE__CHANGED_CELL;
    memset(c, 0, sizeof *c);
    if (s->count < 2 || s->count > CANVAS_FRAMES)
        return hrm_error_set(HRM_ERR_ARGUMENT, "a story of %d frames: 2 to %d are possible", s->count, CANVAS_FRAMES);
    if (width < 132) width = 132;
    int right = MARGIN + width + GAP + table;
    if (height < 150) height = 150;
    double line = (height - 24.0 - 46) / (s->count - 1);
    if (line > 20) line = 20;
    hrm_status status = canvas_create_frame(c, s->scale, right + MARGIN,
                                            TOP + height + 20 + picture__legend(NULL, marks, MARGIN, right, 0) + MARGIN / 2,
                                            CANVAS_WHITE, frame, s->count);
    if (status != HRM_OK) return status;
    picture__heading(c, s->title, s->subtitle, right);
    if (sudoku) picture__sudoku_story(c, MARGIN, TOP, s);
    else if (maze) picture__maze_story(c, MARGIN, TOP, s);
    else picture__grid_story(c, MARGIN, TOP, s);
    picture__story_table(c, MARGIN + width + GAP, TOP, line, s);
    (void)picture__legend(c, marks, MARGIN, right, TOP + height + 20);
    return HRM_OK;
}

/* The whole animation as a file: the last frame stays longer. */
static inline hrm_status picture_story_save(const picture_story *s, const char *path)
{
    int ms[CANVAS_FRAMES], n = s->scale == CANVAS_SVG ? 1 : s->count;
    canvas frames[CANVAS_FRAMES];
    hrm_status status = HRM_OK;
    memset(frames, 0, sizeof frames);
    for (int k = 0; k < CANVAS_FRAMES; k++) ms[k] = k == 0 ? 1500 : k + 1 == s->count ? 4000 : 1000;
    for (int k = 0; k < n && status == HRM_OK; k++) status = picture_story_draw(&frames[k], s, k);
    if (status == HRM_OK) status = canvas_save_frames(frames, n, ms, path);
    for (int k = 0; k < n; k++) canvas_destroy(&frames[k]);
    return status;
}

#endif
