/* Canvas, font, PNG files, sheets of boards, and the judging of answers against independent checks. */
#define HRM_IMPLEMENTATION
#include "../hrm.h"
#include "harness.h"
#include "../tools/pictures.h"
/* No memory for a line of metrics, when a test says so. */
static int short_of_memory;
#define hrm_json_parse(doc, text, n, path, a)                                                                                  \
    (short_of_memory && --short_of_memory == 0 ? hrm_error_set(HRM_ERR_MEMORY, "out of memory")                                \
                                               : hrm_json_parse(doc, text, n, path, a))
#include "../tools/plot.c"
#undef hrm_json_parse
#include "../tools/render.c"
#include "../tools/vocabulary.c"
int render_answers_draw(const render_answers *o) { return o ? TOOL_ERROR : TOOL_OK; }
#include "../tools/boards.c"

#include <stdarg.h>
#include <sys/stat.h>
#include <unistd.h>
#if defined(CANVAS_HAS_PNG) && defined(__has_include)
    #if __has_include(<stb/stb_image.h>)
        #define STB_IMAGE_IMPLEMENTATION
        #define STBI_ONLY_PNG
        #include <stb/stb_image.h>
        #define TEST_READS_PNG 1
    #endif
#endif

static const char *own_path(const char *name)
{
    /* of this process alone: tests may run twice at once, and anywhere */
    static char path[300];
    const char *tmp = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.200s/hrm_test_%ld_%s", tmp ? tmp : "/tmp", (long)getpid(), name);
    return path;
}

/* ---- canvas -------------------------------------------------------------------------------------------------------------- */

static long inked(const canvas *c, int x0, int y0, int x1, int y1)
{
    /* pixels that are not white in x0..x1-1, y0..y1-1 */
    long n = 0;
    for (int y = y0; y < y1; y++)
        for (int x = x0; x < x1; x++) n += canvas_pixel(c, x, y) != CANVAS_WHITE;
    return n;
}

static void test_shapes(void)
{
    canvas c;
    CHECK_FAILS(canvas_create(&c, 1, 0, 5, CANVAS_WHITE), HRM_ERR_RANGE, "0 x 5");
    CHECK_FAILS(canvas_create(&c, 1, 5, 40000, CANVAS_WHITE), HRM_ERR_RANGE, "40000");
    CHECK_OK(canvas_create(&c, 1, 60, 40, CANVAS_WHITE));
    CHECK(inked(&c, 0, 0, 60, 40) == 0, "a new canvas has its background");
    canvas_rect(&c, 10, 5, 4, 3, CANVAS_BLUE);
    CHECK(inked(&c, 0, 0, 60, 40) == 12 && canvas_pixel(&c, 10, 5) == CANVAS_BLUE && canvas_pixel(&c, 13, 7) == CANVAS_BLUE &&
              canvas_pixel(&c, 14, 5) == CANVAS_WHITE,
          "a rectangle is exact");
    canvas_rect(&c, 0, 0, 60, 40, CANVAS_WHITE);
    canvas_rect(&c, -5, -5, 8, 8, CANVAS_BLUE);
    canvas_rect(&c, 57, 38, 100, 100, CANVAS_BLUE);
    canvas_rect(&c, 70, 10, 5, 5, CANVAS_BLUE);
    CHECK(inked(&c, 0, 0, 60, 40) == 9 + 6, "rectangles are cut at the edges, %ld", inked(&c, 0, 0, 60, 40));
    canvas_rect(&c, 0, 0, 60, 40, CANVAS_WHITE);
    canvas_frame(&c, 10, 10, 10, 8, 2, CANVAS_INK);
    CHECK(inked(&c, 0, 0, 60, 40) == 10 * 8 - 6 * 4, "a frame lies inside, %ld", inked(&c, 0, 0, 60, 40));
    canvas_rect(&c, 0, 0, 60, 40, CANVAS_WHITE);
    canvas_disc(&c, 30, 20, 8, CANVAS_GREEN);
    double area = 0;
    for (int y = 0; y < 40; y++)
        for (int x = 0; x < 60; x++) area += (255 - (canvas_pixel(&c, x, y) & 255)) / (255.0 - (CANVAS_GREEN & 255));
    CHECK(fabs(area - 201.06) < 3, "a disc of radius 8 covers %g pixels", area);
    CHECK(canvas_pixel(&c, 30, 20) == CANVAS_GREEN && canvas_pixel(&c, 30, 31) == CANVAS_WHITE, "inside and outside");
    canvas_rect(&c, 0, 0, 60, 40, CANVAS_WHITE);
    canvas_line(&c, 5, 10.5, 55, 10.5, 3, CANVAS_BLACK);
    CHECK(canvas_pixel(&c, 30, 9) == 0 && canvas_pixel(&c, 30, 11) == 0 && canvas_pixel(&c, 30, 8) == CANVAS_WHITE &&
              canvas_pixel(&c, 30, 12) == CANVAS_WHITE,
          "a level line of thickness 3 covers three rows");
    unsigned grey = canvas_mix(0, 0xFFFFFF, 0.5);
    CHECK(grey == 0x808080, "half of white is %06x", grey);
    /* joints do not darken: a translucent line drawn to and fro is as dark as drawn once */
    canvas_rect(&c, 0, 0, 60, 40, CANVAS_WHITE);
    const double there[4] = {10, 20.5, 50, 20.5}, again[6] = {10, 30.5, 50, 30.5, 10, 30.5};
    canvas_polyline(&c, there, 2, 3, CANVAS_BLACK, 0.5);
    canvas_polyline(&c, again, 3, 3, CANVAS_BLACK, 0.5);
    CHECK(canvas_pixel(&c, 30, 20) == canvas_pixel(&c, 30, 30) && canvas_pixel(&c, 30, 20) == 0x808080, "%06x, %06x",
          canvas_pixel(&c, 30, 20), canvas_pixel(&c, 30, 30));
    /* nothing outside is touched, whatever the numbers: checked for by the memory checkers */
    canvas_rect(&c, 0, 0, 60, 40, CANVAS_WHITE);
    canvas_line(&c, -1e9, 20, 1e9, 20, 2, CANVAS_BLACK);
    canvas_line(&c, 1e300, -1e300, 1e300, 1e300, 2, CANVAS_BLACK);
    canvas_line(&c, NAN, 0, 10, 10, 2, CANVAS_BLACK);
    canvas_line(&c, 0, 0, INFINITY, 10, 2, CANVAS_BLACK);
    canvas_disc(&c, -3, -3, 5, CANVAS_BLACK);
    canvas_text(&c, 55, 39, "outside", canvas_style_make(20, CANVAS_BLACK, CANVAS_LEFT));
    long left = 0;
    for (int i = 0; i < c.width * c.height; i++) left += c.mask[i];
    CHECK(left == 0, "the mask is empty between calls");
    canvas_destroy(&c);
    canvas_destroy(&c); /* twice is fine */
    CHECK_OK(canvas_create(&c, 2, 60, 40, CANVAS_WHITE));
    canvas_rect(&c, 10, 5, 4, 3, CANVAS_BLUE);
    CHECK(c.width == 120 && c.height == 80 && inked(&c, 0, 0, 120, 80) == 8 * 6 && inked(&c, 20, 10, 28, 16) == 8 * 6,
          "twice as many pixels each way");
    canvas_line(&c, 5, 30.5, 55, 30.5, 3, CANVAS_BLACK);
    CHECK(canvas_pixel(&c, 60, 58) == 0 && canvas_pixel(&c, 60, 63) == 0 && canvas_pixel(&c, 60, 57) == CANVAS_WHITE &&
              canvas_pixel(&c, 60, 64) == CANVAS_WHITE,
          "a line of thickness 3 covers six rows");
    canvas_destroy(&c);
    CHECK(canvas_scale_of("a/b.png", 3) == 3 && canvas_scale_of("b.SVG", 3) == CANVAS_SVG &&
              canvas_scale_of("b.jpg", 3) == -1 && canvas_scale_of(".png", 3) == -1 && canvas_scale_of("svg", 3) == -1,
          "a file's name tells what it is");
}

static void test_text(void)
{
    /* every printable character: draws something, stays in its box, differs from every other */
    canvas c;
    static unsigned char seen[95][60 * 60];
    int same = 0;
    for (int ch = ' '; ch <= '~'; ch++) {
        char text[2] = {(char)ch, 0};
        CHECK_OK(canvas_create(&c, 1, 60, 60, CANVAS_WHITE));
        canvas_text(&c, 10, 40, text, canvas_style_make(28, CANVAS_BLACK, CANVAS_LEFT));
        double width = canvas_text_width(text, 28);
        long all = inked(&c, 0, 0, 60, 60), in = inked(&c, 7, 4, 14 + (int)width, 52);
        CHECK(width >= 0 && width <= 28 && all == in, "'%c': %ld of %ld pixels in its box of width %g", ch, in, all, width);
        CHECK(ch == ' ' ? all == 0 : all > 15, "'%c': %ld pixels", ch, all);
        for (int i = 0; i < 60 * 60; i++) seen[ch - ' '][i] = c.pixels[3 * i];
        for (int other = ' '; other < ch; other++) same += memcmp(seen[ch - ' '], seen[other - ' '], sizeof seen[0]) == 0;
        canvas_destroy(&c);
    }
    CHECK(same == 0, "%d pairs of characters look the same", same);
    CHECK_OK(canvas_create(&c, 1, 200, 60, CANVAS_WHITE));
    canvas_text(&c, 10, 40, "\x01\xff", canvas_style_make(20, CANVAS_BLACK, CANVAS_LEFT));
    long unknown = inked(&c, 0, 0, 200, 60);
    canvas_rect(&c, 0, 0, 200, 60, CANVAS_WHITE);
    canvas_text(&c, 10, 40, "??", canvas_style_make(20, CANVAS_BLACK, CANVAS_LEFT));
    CHECK(unknown == inked(&c, 0, 0, 200, 60), "characters without a glyph are question marks");
    /* alignment: the same picture, moved */
    double width = canvas_text_width("align", 20);
    canvas_rect(&c, 0, 0, 200, 60, CANVAS_WHITE);
    canvas_text(&c, 100, 40, "align", canvas_style_make(20, CANVAS_BLACK, CANVAS_RIGHT));
    CHECK(inked(&c, 103, 0, 200, 60) == 0 && inked(&c, 0, 0, (int)(97 - width), 60) == 0 && inked(&c, 0, 0, 200, 60) > 100,
          "right-aligned text ends where told");
    canvas_rect(&c, 0, 0, 200, 60, CANVAS_WHITE);
    canvas_text(&c, 100, 40, "align", canvas_style_make(20, CANVAS_BLACK, CANVAS_CENTRE));
    CHECK(labs(inked(&c, 0, 0, 100, 60) - inked(&c, 100, 0, 200, 60)) < 200 && inked(&c, 0, 0, 200, 60) > 100,
          "centred text lies on both sides");
    canvas_style up = canvas_style_make(10, CANVAS_BLACK, CANVAS_LEFT);
    up.upwards = 1;
    canvas_rect(&c, 0, 0, 200, 60, CANVAS_WHITE);
    canvas_text(&c, 100, 55, "up", up);
    CHECK(inked(&c, 86, 30, 104, 58) == inked(&c, 0, 0, 200, 60) && inked(&c, 0, 0, 200, 60) > 20, "text can be turned");
    canvas_destroy(&c);
}

/* ---- PNG ----------------------------------------------------------------------------------------------------------------- */

#ifdef CANVAS_HAS_PNG
static uint32_t big_endian(const unsigned char *p)
{
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static uint32_t crc(const unsigned char *p, size_t n)
{
    uint32_t c = 0xFFFFFFFFu;
    for (size_t i = 0; i < n; i++) {
        c ^= p[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xEDB88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}
#endif

static void test_png(int many_colours)
{
    canvas c;
    char name[300];
    snprintf(name, sizeof name, "%s", own_path("picture.png"));
    CHECK_OK(canvas_create(&c, 1, 123, 45, CANVAS_PALE));
    for (int i = 0; many_colours && i < 123 * 45; i++)
        canvas_rect(&c, i % 123, i / 123, 1, 1, (unsigned)(i * 7919)); /* more than a palette holds */
    canvas_text(&c, 10, 30, "PNG 123", canvas_style_make(16, CANVAS_VERMILION, CANVAS_LEFT));
    canvas_disc(&c, 100, 20, 12, CANVAS_SKY);
#ifdef CANVAS_HAS_PNG
    CHECK_OK(canvas_save(&c, name));
    hrm_file_map map;
    CHECK_OK(hrm_file_map_open(&map, name));
    CHECK(map.size > 60 && memcmp(map.data, "\x89PNG\r\n\x1a\n", 8) == 0, "the signature");
    size_t at = 8, chunks = 0, last = 0;
    while (at + 12 <= map.size) {
        size_t length = big_endian(map.data + at);
        if (length > map.size - at - 12) break;
        CHECK(crc(map.data + at + 4, length + 4) == big_endian(map.data + at + 8 + length), "the checksum of chunk %zu",
              chunks);
        if (chunks++ == 0)
            CHECK(memcmp(map.data + at + 4, "IHDR", 4) == 0 && big_endian(map.data + at + 8) == 123 &&
                      big_endian(map.data + at + 12) == 45 && map.data[at + 16] == 8 &&
                      map.data[at + 17] == (many_colours ? 2 : 3),
                  "a header for 123 x 45, with a palette where that is enough");
        last = memcmp(map.data + at + 4, "IEND", 4) == 0;
        at += length + 12;
    }
    CHECK(at == map.size && last && chunks >= 3, "whole chunks up to the end");
    hrm_file_map_close(&map);
    #ifdef TEST_READS_PNG
    int width, height, parts;
    unsigned char *back = stbi_load(name, &width, &height, &parts, 3);
    CHECK(back && width == 123 && height == 45 && memcmp(back, c.pixels, (size_t)(123 * 45 * 3)) == 0, "the pixels come back");
    stbi_image_free(back);
    #endif
    remove(name);
    CHECK_FAILS(canvas_save(&c, "no/such/folder/x.png"), HRM_ERR_IO, "no/such/folder/x.png");
#else
    CHECK_FAILS(canvas_save(&c, name), HRM_ERR_UNSUPPORTED, "libstb-dev");
#endif
    canvas_destroy(&c);
}

/* ---- sheets -------------------------------------------------------------------------------------------------------------- */

/* Where the first board of a sheet with a title and without a subtitle begins, found as users see it: by its border. */
static int find_first(const canvas *c, unsigned colour, int *x0, int *y0)
{
    for (int y = 60; y < c->height; y++)
        for (int x = 0; x + 80 < c->width; x++) {
            int run = 0;
            while (run < 80 && canvas_pixel(c, x + run, y) == colour) run++;
            if (run < 80) continue;
            *x0 = x, *y0 = y;
            return 1;
        }
    return 0;
}

static void test_sudoku_sheet(void)
{
    static const int sizes[3] = {4, 6, 9};
    for (int k = 0; k < 3; k++) {
        sudoku_shape shape;
        uint8_t puzzle[81], solution[81];
        int32_t input[81], answer[81], label[81];
        hrm_random r = hrm_random_make(5, (uint64_t)k);
        sudoku_shape_make(&shape, sizes[k]);
        (void)sudoku_generate(&shape, &r, 0, puzzle, solution);
        int blank = 0, n = sizes[k];
        for (int c = 0; c < n * n; c++) {
            input[c] = puzzle[c] + 1;
            answer[c] = label[c] = solution[c] + 1;
        }
        while (puzzle[blank]) blank++;
        answer[blank] = answer[blank] == 2 ? 3 : 2;
        picture_panel p[2];
        p[0] = picture_panel_make(PICTURE_SUDOKU, n, input, answer, label, "prediction");
        p[1] = picture_panel_make(PICTURE_SUDOKU, n, input, NULL, NULL, "puzzle");
        picture_sheet sheet = picture_sheet_make("Sudoku", p, 2, 2);
        sheet.scale = 1;
        canvas c;
        int x0 = 0, y0 = 0, cell = p[0].cell;
        CHECK_OK(picture_sheet_draw(&c, &sheet));
        CHECK(find_first(&c, CANVAS_INK, &x0, &y0), "a board's border");
        for (int i = 0; i < n * n; i++) {
            /* a corner of the cell that no digit reaches */
            unsigned paint = canvas_pixel(&c, x0 + 1 + i % n * cell + 3, y0 + 1 + i / n * cell + cell - 4);
            unsigned expected = i == blank ? PICTURE_WRONG : puzzle[i] ? PICTURE_GIVEN : CANVAS_WHITE;
            int framed = paint == CANVAS_VERMILION && i == blank;
            CHECK(paint == expected || framed, "size %d, cell %d is %06x, expected %06x", n, i, paint, expected);
            /* a digit in every cell of the prediction, in those given of the puzzle */
            long ink = 0, second = 0, across = p[0].cols * cell + 26;
            for (int y = 4; y < cell - 4; y++)
                for (int x = 4; x < cell - 4; x++) {
                    unsigned a = canvas_pixel(&c, x0 + 1 + i % n * cell + x, y0 + 1 + i / n * cell + y);
                    unsigned b = canvas_pixel(&c, x0 + 1 + i % n * cell + x + (int)across, y0 + 1 + i / n * cell + y);
                    ink += a != expected && a != CANVAS_VERMILION;
                    second += b != (puzzle[i] ? (unsigned)PICTURE_GIVEN : (unsigned)CANVAS_WHITE);
                }
            CHECK(ink > 10, "size %d: cell %d has a digit", n, i);
            CHECK(puzzle[i] ? second > 10 : second == 0, "size %d: cell %d of the puzzle, %ld pixels", n, i, second);
        }
        canvas_destroy(&c);
    }
}

static void test_maze_sheet(void)
{
    enum { SIDE = 12 };
    char question[SIDE * SIDE], solution[SIDE * SIDE];
    int32_t input[SIDE * SIDE], label[SIDE * SIDE], answer[SIDE * SIDE];
    hrm_random r = hrm_random_make(8, 0);
    CHECK(maze_generate(&r, SIDE, 15, question, solution), "a maze");
    int missed = 0, extra = 0;
    for (int i = 0; i < SIDE * SIDE; i++) {
        input[i] = (int32_t)(strchr("# SGo", question[i]) - "# SGo") + 1;
        answer[i] = label[i] = (int32_t)(strchr("# SGo", solution[i]) - "# SGo") + 1;
        if (label[i] == SCORE_PATH) missed = i;
        if (label[i] == SCORE_FLOOR) extra = i;
    }
    answer[missed] = SCORE_FLOOR;
    answer[extra] = SCORE_PATH;
    static const picture_kind kinds[4] = {PICTURE_MAZE, PICTURE_MAZE_TRUE, PICTURE_MAZE_PREDICTED, PICTURE_MAZE_DIFFERENCES};
    for (int k = 0; k < 4; k++) {
        picture_panel p = picture_panel_make(kinds[k], SIDE, input, answer, label, "maze");
        picture_sheet sheet = picture_sheet_make("Maze", &p, 1, 1);
        sheet.scale = 1;
        canvas c;
        int x0 = 0, y0 = 0, cell = p.cell;
        CHECK_OK(picture_sheet_draw(&c, &sheet));
        CHECK(find_first(&c, CANVAS_INK, &x0, &y0), "a maze's border");
        x0 += 2, y0 += 2;
        for (int i = 0; i < SIDE * SIDE; i++) {
            unsigned middle = canvas_pixel(&c, x0 + i % SIDE * cell + cell / 2, y0 + i / SIDE * cell + cell / 2);
            unsigned corner = canvas_pixel(&c, x0 + i % SIDE * cell + 3, y0 + i / SIDE * cell + 3);
            int near_mark = 0; /* start and goal are larger than their cells */
            for (int j = 0; j < SIDE * SIDE; j++)
                if (input[j] == SCORE_START || input[j] == SCORE_GOAL)
                    near_mark |= abs(j % SIDE - i % SIDE) <= 1 && abs(j / SIDE - i / SIDE) <= 1;
            if (near_mark) continue;
            unsigned expected = input[i] == SCORE_WALL ? (unsigned)PICTURE_WALL : (unsigned)CANVAS_WHITE;
            CHECK(corner == expected, "kind %d: cell %d has the corner %06x", k, i, corner);
            if (k == 1) expected = label[i] == SCORE_PATH ? (unsigned)CANVAS_BLUE : expected;
            if (k == 2) expected = answer[i] == SCORE_PATH ? (unsigned)CANVAS_VERMILION : expected;
            if (k == 3)
                expected = i == extra               ? (unsigned)CANVAS_VERMILION
                           : i == missed            ? (unsigned)CANVAS_WHITE
                           : label[i] == SCORE_PATH ? (unsigned)CANVAS_GREY
                                                    : expected;
            CHECK(middle == expected, "kind %d: cell %d is %06x, expected %06x", k, i, middle, expected);
            if (k == 3 && i == missed) {
                unsigned ring =
                    canvas_pixel(&c, x0 + i % SIDE * cell + cell / 2, y0 + i / SIDE * cell + cell / 2 - (int)(cell * 0.3));
                CHECK(ring != CANVAS_WHITE, "a ring around what was missed, %06x", ring);
            }
        }
        canvas_destroy(&c);
    }
}

static void test_arc_sheet(void)
{
    enum { SIDE = 30 };
    static int32_t truth[SIDE * SIDE], answer[SIDE * SIDE], moved[SIDE * SIDE];
    int rows, cols, top, left;
    for (int y = 0; y < 10; y++)
        for (int x = 0; x < 10; x++)
            answer[y * SIDE + x] = truth[y * SIDE + x] = moved[(y + 7) * SIDE + x + 4] = (x + y) % 10 + 2;
    for (int k = 0; k < 10; k++) truth[10 * SIDE + k] = truth[k * SIDE + 10] = 1;
    answer[3 * SIDE + 4] = 2;
    CHECK(picture_arc_find(moved, SIDE, &top, &left, &rows, &cols) && top == 7 && left == 4 && rows == 10 && cols == 10,
          "a moved grid is found");
    CHECK(!picture_arc_find(truth + 11 * SIDE, 5, &top, &left, &rows, &cols), "no grid, none found");
    picture_arc_crop(truth, SIDE, 0, 0, &rows, &cols);
    CHECK(rows == 10 && cols == 10, "the grid is %d x %d", rows, cols);
    answer[9 * SIDE + 2] = 0; /* a hole in the last row: nine whole rows are the largest rectangle */
    picture_arc_crop(answer, SIDE, 0, 0, &rows, &cols);
    CHECK(rows == 9 && cols == 10, "the grid is %d x %d", rows, cols);
    picture_panel p = picture_panel_arc(SIDE, answer, truth, "prediction");
    CHECK(p.rows == 9 && strstr(p.note, "9 x 10, expected 10 x 10"), "another size is said: %s", p.note);
    answer[9 * SIDE + 2] = truth[9 * SIDE + 2];
    p = picture_panel_arc(SIDE, answer, truth, "prediction");
    p.cell = 24;
    picture_sheet sheet = picture_sheet_make("ARC", &p, 1, 1);
        sheet.scale = 1;
    canvas c;
    int x0 = 0, y0 = 0;
    CHECK_OK(picture_sheet_draw(&c, &sheet));
    CHECK(find_first(&c, 0x606060, &x0, &y0), "a grid's border");
    for (int y = 0; y < 10; y++)
        for (int x = 0; x < 10; x++) {
            unsigned corner = canvas_pixel(&c, x0 + x * 24 + 2, y0 + y * 24 + 2),
                     middle = canvas_pixel(&c, x0 + x * 24 + 12, y0 + y * 24 + 12);
            CHECK(corner == picture_arc_colour((int)answer[y * SIDE + x] - 2), "row %d, column %d is %06x", y, x, corner);
            if (y == 3 && x == 4) CHECK(middle == CANVAS_WHITE, "a wrong cell is crossed out, %06x", middle);
        }
    canvas_destroy(&c);
    static const int32_t nothing[SIDE * SIDE] = {0};
    p = picture_panel_arc(SIDE, nothing, truth, "prediction");
    CHECK(strcmp(p.note, "no grid") == 0, "an answer without a grid: %s", p.note);
    CHECK_OK(picture_sheet_draw(&c, &sheet));
    canvas_destroy(&c);
    sheet.count = 0;
    picture_story story;
    memset(&story, 0, sizeof story);
    for (int kind = 0; kind < 2; kind++) {
        memset(&c, 0xA5, sizeof c);
        if (kind) CHECK_FAILS(picture_story_draw(&c, &story, 0), HRM_ERR_ARGUMENT, "a story of 0 frames");
        else CHECK_FAILS(picture_sheet_draw(&c, &sheet), HRM_ERR_ARGUMENT, "without any");
        CHECK(!c.pixels && !c.mask && c.scale == 0, "what could not be drawn is empty, and may be destroyed");
    }
}

static void test_grid_sheet(void)
{
    /* 2 x 3 of a board that is 4 wide: what stands around it is not drawn */
    static const char *const tokens[] = {"<pad>", "#", ".", "seven"};
    static const int32_t input[12] = {1, 2, 2, 0, 2, 3, 2, 0, 0, 0, 0, 0}, truth[12] = {1, 3, 2, -100, 2, 3, -100, -100},
                         answer[12] = {1, 2, 2, 3, 2, 3, 1, 3, 3, 3, 3, 3};
    picture_panel p = picture_panel_grid(4, 2, 3, tokens, 4, input, answer, truth, "prediction");
    picture_sheet sheet = picture_sheet_make("grid", &p, 1, 1);
        sheet.scale = 1;
    canvas c;
    int x0 = 0, y0 = 0;
    CHECK(picture__marks_of(&p) == 1u << PICTURE__TOKEN_WRONG, "the legend tells what is wrong");
    CHECK_OK(picture_sheet_draw(&c, &sheet));
    CHECK(find_first(&c, 0x909090, &x0, &y0), "a grid's border");
    for (int i = 0; i < 6; i++) {
        int y = i / 3, x = i % 3;
        unsigned corner = canvas_pixel(&c, x0 + x * p.cell + 2, y0 + y * p.cell + 2);
        unsigned expected = i == 1 ? PICTURE_WRONG : picture__token_colour(&p, answer[y * 4 + x]);
        CHECK(corner == expected, "row %d, column %d is %06x, expected %06x", y, x, corner, expected);
        CHECK(inked(&c, x0 + x * p.cell + 4, y0 + y * p.cell + 4, x0 + (x + 1) * p.cell - 4, y0 + (y + 1) * p.cell - 4) > 0,
              "row %d, column %d has its token", y, x);
    }
    CHECK(picture__token_colour(&p, 2) == CANVAS_WHITE && picture__token_colour(&p, 1) != picture__token_colour(&p, 3),
          "a blank is white, tokens differ");
    CHECK(canvas_pixel(&c, x0 + 3 * p.cell + 4, y0 + 4) == CANVAS_WHITE, "no padding");
    canvas_destroy(&c);
    p.truth = NULL;
    CHECK(picture__marks_of(&p) == 0, "nothing to compare with, nothing wrong");
}

static void test_captions(void)
{
    /* the boards of a sheet stand where they stood, whatever is written above and below them */
    static const char *const captions[4][2] = {{"a", ""},
                                               {"prediction after sixteen segments of the model in a folder far away",
                                                "12 cells wrong, not valid, and more to say of it"},
                                               {"averyveryverylongwordwithoutanyblankinitthatcannotbeparted", "b"},
                                               {"b", "exact"}};
    static const int32_t input[16] = {2, 1, 1, 5, 1, 5, 2, 1, 1, 2, 5, 1, 5, 1, 1, 2};
    int lefts[2] = {0, 0}, across = 0;
    for (int long_ones = 0; long_ones < 2; long_ones++) {
        picture_panel p[4];
        int x0 = 0, y0 = 0;
        canvas c;
        for (int k = 0; k < 4; k++) {
            p[k] = picture_panel_make(PICTURE_SUDOKU, 4, input, NULL, NULL, long_ones ? captions[k][0] : "a");
            snprintf(p[k].note, sizeof p[k].note, "%s", long_ones ? captions[k][1] : "b");
        }
        picture_sheet sheet = picture_sheet_make("t", p, 4, 2);
        sheet.scale = 1;
        CHECK_OK(picture_sheet_draw(&c, &sheet));
        CHECK(find_first(&c, CANVAS_INK, &x0, &y0), "a board's border");
        lefts[long_ones] = x0;
        int wide = 4 * p[0].cell + 3, gap = 0;
        while (x0 + wide + gap < c.width && canvas_pixel(&c, x0 + wide + gap, y0) != CANVAS_INK) gap++;
        if (!long_ones) across = gap;
        CHECK(gap == across && gap < 40, "the second board of the row begins at the same height, %d to the right, not %d", gap,
              across);
        CHECK(inked(&c, x0 + wide, 60, x0 + wide + gap, c.height - 60) == 0, "captions stay in their column");
        int down = 0;
        while (y0 + wide + down < c.height && canvas_pixel(&c, x0 + 40, y0 + wide + down) != CANVAS_INK) down++;
        int second = y0 + wide + down;
        while (second < c.height &&
               (canvas_pixel(&c, x0, second) != CANVAS_INK || canvas_pixel(&c, x0, second + 60) != CANVAS_INK))
            second++;
        CHECK(second + wide < c.height && canvas_pixel(&c, x0 + wide + gap, second) == CANVAS_INK &&
                  canvas_pixel(&c, x0 + wide + gap, second - 1) != CANVAS_INK,
              "so do both of the second row");
        canvas_destroy(&c);
    }
    CHECK(lefts[0] == lefts[1], "boards begin at %d and %d", lefts[0], lefts[1]);
    CHECK(picture__wrap(NULL, 0, 0, "two words", 80, 2, canvas_style_make(11, 0, CANVAS_LEFT)) == 2 &&
              picture__wrap(NULL, 0, 0, "", 80, 2, canvas_style_make(11, 0, CANVAS_LEFT)) == 0,
          "a line more where one is not enough");
}

/* ---- judging ------------------------------------------------------------------------------------------------------------- */

static void test_detection(void)
{
    static const struct { int vocab, length; score_task task;
    } cases[] = {{11, 81, SCORE_SUDOKU},  {8, 36, SCORE_SUDOKU}, {6, 16, SCORE_SUDOKU}, {6, 900, SCORE_MAZE},
                 {6, 64, SCORE_MAZE},     {6, 36, SCORE_MAZE},   {12, 900, SCORE_ARC},  {11, 80, SCORE_NONE},
                 {7, 81, SCORE_NONE},     {6, 17, SCORE_NONE},   {6, 0, SCORE_NONE},    {6, -4, SCORE_NONE},
                 {6, 1 << 30, SCORE_NONE}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        CHECK(score_task_detect(cases[i].vocab, cases[i].length) == cases[i].task, "vocabulary %d, length %d", cases[i].vocab,
              cases[i].length);
}

static void test_sudoku_score(void)
{
    /* against the rules counted out: every digit once in each row, column and box */
    static const int sizes[3] = {4, 6, 9}, box_rows[3] = {2, 2, 3};
    for (int k = 0; k < 3; k++) {
        int n = sizes[k], valid_count = 0, agreed = 0, trials = 300;
        sudoku_shape shape;
        sudoku_shape_make(&shape, n);
        for (int t = 0; t < trials; t++) {
            uint8_t puzzle[81], solution[81];
            int32_t input[81], answer[81];
            hrm_random r = hrm_random_make(77, (uint64_t)(k * 1000 + t));
            (void)sudoku_generate(&shape, &r, n * n / 2, puzzle, solution);
            for (int i = 0; i < n * n; i++) input[i] = puzzle[i] + 1, answer[i] = solution[i] + 1;
            int kind = t % 5;
            if (kind == 1) answer[hrm_random_below(&r, (uint32_t)(n * n))] = 2 + (int32_t)hrm_random_below(&r, (uint32_t)n);
            if (kind == 2) answer[hrm_random_below(&r, (uint32_t)(n * n))] = (int32_t)hrm_random_below(&r, 2);
            if (kind == 3) /* digits renamed: breaks no rule, but the givens */
                for (int i = 0; i < n * n; i++) answer[i] = 2 + (answer[i] - 1) % n;
            if (kind == 4) input[hrm_random_below(&r, (uint32_t)(n * n))] = 1; /* fewer givens: any board that fits is right */
            int expected = 1;
            for (int i = 0; i < n * n; i++) {
                if (answer[i] < 2 || answer[i] > n + 1 || (input[i] > 1 && input[i] != answer[i])) expected = 0;
                for (int j = 0; j < i; j++) {
                    int row = i / n == j / n, column = i % n == j % n, rows = box_rows[k], cols = n / rows;
                    int box = i / n / rows == j / n / rows && i % n / cols == j % n / cols;
                    if ((row || column || box) && answer[i] == answer[j]) expected = 0;
                }
            }
            int got = score_sudoku(input, answer, n);
            agreed += got == expected;
            valid_count += expected;
        }
        CHECK(agreed == trials, "size %d: %d of %d judged alike", n, agreed, trials);
        CHECK(valid_count > trials / 4 && valid_count < trials, "size %d: both kinds occur, %d", n, valid_count);
    }
    int32_t board[81] = {0};
    CHECK(!score_sudoku(board, board, 9) && !score_sudoku(board, board, 5), "an empty board, and a size that is none");
}

/* All simple paths from S to G of a small maze, as sets of cells: the independent judge. */
enum { SMALL = 4, SMALL_CELLS = SMALL * SMALL };
static unsigned char path_sets[1 << SMALL_CELLS];
static int shortest_set;

static void enumerate_paths(const int32_t *maze, int cell, unsigned visited, int length)
{
    if (maze[cell] == SCORE_GOAL) {
        path_sets[visited] = 1;
        if (length < shortest_set) shortest_set = length;
        return;
    }
    for (int next = 0; next < SMALL_CELLS; next++) {
        int beside = abs(next % SMALL - cell % SMALL) + abs(next / SMALL - cell / SMALL) == 1;
        if (beside && maze[next] != SCORE_WALL && !(visited >> next & 1))
            enumerate_paths(maze, next, visited | 1u << next, length + 1);
    }
}

static void test_maze_score_exhaustively(void)
{
    long wrong = 0, valid_count = 0, optimal_count = 0, tried = 0;
    for (int trial = 0; trial < 40; trial++) {
        int32_t maze[SMALL_CELLS], answer[SMALL_CELLS];
        hrm_random r = hrm_random_make(21, (uint64_t)trial);
        for (int i = 0; i < SMALL_CELLS; i++) maze[i] = hrm_random_below(&r, 4) ? SCORE_FLOOR : SCORE_WALL;
        int start = (int)hrm_random_below(&r, SMALL_CELLS),
            goal = (start + 1 + (int)hrm_random_below(&r, SMALL_CELLS - 1)) % SMALL_CELLS;
        maze[start] = SCORE_START, maze[goal] = SCORE_GOAL;
        memset(path_sets, 0, sizeof path_sets);
        shortest_set = 1000;
        enumerate_paths(maze, start, 1u << start, 0);
        for (unsigned set = 0; set < 1u << SMALL_CELLS; set++) {
            int possible = 1, cells = 0;
            for (int i = 0; i < SMALL_CELLS && possible; i++) {
                int in = set >> i & 1;
                if (in && maze[i] != SCORE_FLOOR) possible = 0; /* only floor can become path */
                answer[i] = in ? SCORE_PATH : maze[i];
                cells += in;
            }
            if (!possible) continue;
            int optimal = -1, valid = score_maze(maze, answer, SMALL, &optimal);
            int expected = path_sets[set | 1u << start | 1u << goal], best = expected && cells + 1 == shortest_set;
            wrong += valid != expected || optimal != best;
            valid_count += valid, optimal_count += optimal, tried++;
        }
    }
    CHECK(wrong == 0, "%ld of %ld answers judged otherwise than by listing all paths", wrong, tried);
    CHECK(optimal_count > 20 && valid_count > optimal_count, "all kinds occur: %ld valid, %ld optimal of %ld", valid_count,
          optimal_count, tried);
}

static void test_maze_score(void)
{
    static char question[MAZE_MAX_CELLS], solution[MAZE_MAX_CELLS];
    static int32_t maze[MAZE_MAX_CELLS], answer[MAZE_MAX_CELLS];
    static const int sides[5] = {5, 8, 12, 20, 30};
    score total = score_make(6, 900);
    CHECK(total.task == SCORE_MAZE && total.side == 30, "a maze of side 30");
    char text[96];
    CHECK(strcmp(score_text(&total, text, sizeof text), "") == 0, "nothing judged, nothing said");
    for (int k = 0; k < 5; k++)
        for (int t = 0; t < 10; t++) {
            int side = sides[k], optimal, path_cell = -1, wall = -1;
            hrm_random r = hrm_random_make(4, (uint64_t)(k * 100 + t));
            CHECK(maze_generate(&r, side, maze_default_path(side), question, solution), "a maze of side %d", side);
            for (int i = 0; i < side * side; i++) {
                maze[i] = (int32_t)(strchr("# SGo", question[i]) - "# SGo") + 1;
                answer[i] = (int32_t)(strchr("# SGo", solution[i]) - "# SGo") + 1;
                if (answer[i] == SCORE_PATH) path_cell = i;
                if (answer[i] == SCORE_WALL) wall = i;
            }
            CHECK(score_maze(maze, answer, side, &optimal) && optimal, "the generator's answer, side %d", side);
            if (side == 30) score_add(&total, maze, answer);
            answer[path_cell] = SCORE_FLOOR;
            CHECK(!score_maze(maze, answer, side, &optimal) && !optimal, "a gap");
            if (side == 30) score_add(&total, maze, answer);
            answer[path_cell] = SCORE_PATH;
            answer[wall] = SCORE_PATH;
            CHECK(!score_maze(maze, answer, side, NULL), "a step into a wall");
            answer[wall] = SCORE_FLOOR;
            CHECK(!score_maze(maze, answer, side, NULL), "a wall taken away");
        }
    CHECK(strcmp(score_text(&total, text, sizeof text), "valid 50.00 %, optimal 50.00 %") == 0, "%s", text);
    /* an open field: a detour is valid, and two shortest paths are both optimal, whatever the label */
    static const char *const fields[7] = {"SoooG               ", "Soo     oG          ", "S   GoooooG         ",
                                          " ooo So oG          ", "S o Go o            ", "So oG ooo           ",
                                          "SooG  oo            "};
    static const int expected[7][2] = {{1, 1}, {0, 0}, {0, 0}, {1, 0}, {0, 0}, {1, 0}, {1, 0}};
    for (int f = 0; f < 7; f++) { /* rows of five */
        int optimal, valid;
        for (int i = 0; i < 25; i++) {
            char ch = i < 20 ? fields[f][i] : ' ';
            answer[i] = (int32_t)(strchr("# SGo", ch) - "# SGo") + 1;
            maze[i] = answer[i] == SCORE_PATH ? SCORE_FLOOR : answer[i];
        }
        valid = score_maze(maze, answer, 5, &optimal);
        CHECK(valid == expected[f][0] && optimal == expected[f][1], "field %d: valid %d, optimal %d", f, valid, optimal);
    }
    /* a field full of path ends the search in good time: it is a path only if the search finds one, and never optimal */
    for (int i = 0; i < 900; i++) maze[i] = SCORE_FLOOR, answer[i] = SCORE_PATH;
    maze[0] = answer[0] = SCORE_START;
    maze[899] = answer[899] = SCORE_GOAL;
    int optimal;
    (void)score_maze(maze, answer, 30, &optimal);
    CHECK(!optimal, "the whole field is no shortest path");
    CHECK(!score_maze(maze, answer, MAZE_MAX_SIZE + 1, NULL) && !score_maze(maze, answer, 1, NULL), "sizes out of range");
}

/* ---- the commands -------------------------------------------------------------------------------------------------------- */

static char said[1024]; /* the last line that a command reported */

void tool_say(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
}
void tool_note(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(said, sizeof said, format, args);
    va_end(args);
}
char *tool_join(char *path, const char *dir, const char *name)
{
    snprintf(path, TOOL_PATH, "%s/%s", dir, name);
    return path;
}
char *tool_directory(char *path, const char *file)
{
    const char *slash = strrchr(file, '/');
    snprintf(path, TOOL_PATH, "%.*s", slash ? (int)(slash - file) : 1, slash ? file : ".");
    return path;
}
int tool_exists(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0;
}
int tool_is_directory(const char *path)
{
    struct stat s;
    return stat(path, &s) == 0 && S_ISDIR(s.st_mode);
}
char *tool_read_text(const char *path, size_t *length)
{
    hrm_file_map map;
    if (hrm_file_map_open(&map, path) != HRM_OK) return (void)tool_failed(), (char *)NULL;
    char *text = (char *)malloc(map.size + 1);
    if (text && map.size) memcpy(text, map.data, map.size);
    if (text) text[map.size] = 0;
    *length = map.size;
    hrm_file_map_close(&map);
    return text;
}

const char *tool_basename(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static int told_keys, told_cells;
int render_solve(render_run *run)
{
    /* an answer in three segments: nothing, one cell too few and a given changed, the solution of the board in test_steps */
    static const char *const boards[3] = {"0000000000000000", "3412123443212142", "3412123443212143"};
    told_keys = run->num_keys, told_cells = run->cells;
    if (run->num_keys && strcmp(run->keys[0], "halt=fail") == 0) return tool_error("it failed");
    run->answers = (int32_t *)calloc((size_t)(6 * run->cells), sizeof *run->answers);
    for (int k = 0; k < 3; k++) {
        for (int i = 0; i < run->cells; i++) {
            int32_t solved = boards[k][i % 16] - '0' + 1, before = k ? boards[k - 1][i % 16] - '0' + 1 : run->tokens[i];
            run->answers[2 * k * run->cells + i] = run->task == SCORE_SUDOKU ? solved
                                                   : k == 1 && i == 1        ? SCORE_PATH
                                                                             : run->tokens[i];
            run->answers[(2 * k + 1) * run->cells + i] = run->task == SCORE_SUDOKU ? before
                                                         : k == 2 && i == 1        ? SCORE_PATH
                                                                                   : run->tokens[i];
        }
        run->segments[k] = k + 1;
        run->results[k].segments = k + 1;
        run->results[k].q_halt = (float)k - 1;
        run->results[k].halted = k == 2;
    }
    run->count = 3;
    strcpy(run->model, "m.safetensors");
    return TOOL_OK;
}

static int command(int (*run)(int, char **), const char *line, ...)
{
    /* words separated by spaces; "%s" inside stands for a path */
    static char buffer[2048], *words[32];
    int count = 0;
    va_list args;
    va_start(args, line);
    vsnprintf(buffer, sizeof buffer, line, args);
    va_end(args);
    for (char *word = strtok(buffer, " "); word && count < 31; word = strtok(NULL, " ")) words[count++] = word;
    words[count] = NULL;
    said[0] = 0;
    return run(count, words);
}

static void write_text(const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    CHECK(f && fputs(text, f) >= 0, "%s", path);
    if (f) fclose(f);
}

static void write_array(const char *dir, const char *name, hrm_dtype dtype, int ndim, int64_t rows, int64_t cols,
                        const void *data)
{
    char path[512];
    hrm_npy_writer w;
    int64_t shape[2];
    shape[0] = rows, shape[1] = cols;
    snprintf(path, sizeof path, "%s/%s", dir, name);
    CHECK_OK(hrm_npy_writer_open(&w, path, dtype, ndim, shape, NULL));
    CHECK_OK(hrm_npy_writer_write(&w, data, (size_t)rows));
    CHECK_OK(hrm_npy_writer_commit(&w));
}

static void write_data(const char *dir, int vocab, int cells, int count, const uint8_t *inputs, const uint8_t *labels,
                       int ignore)
{
    char split[400], text[512];
    int32_t ids[16] = {0}, indices[17];
    for (int i = 0; i <= count; i++) indices[i] = i;
    snprintf(split, sizeof split, "%s/test", dir);
    (void)mkdir(dir, 0777);
    (void)mkdir(split, 0777);
    snprintf(text, sizeof text,
             "{\"pad_id\": 0, \"ignore_label_id\": %s, \"blank_identifier_id\": 0, \"vocab_size\": %d, \"seq_len\": %d, "
             "\"num_puzzle_identifiers\": 1, "
             "\"total_groups\": %d, \"mean_puzzle_examples\": 1.0, \"sets\": [\"all\"]}",
             ignore ? "0" : "null", vocab, cells, count);
    char path[512];
    snprintf(path, sizeof path, "%s/dataset.json", split);
    write_text(path, text);
    write_array(split, "all__inputs.npy", HRM_U8, 2, count, cells, inputs);
    write_array(split, "all__labels.npy", HRM_U8, 2, count, cells, labels);
    write_array(split, "all__puzzle_identifiers.npy", HRM_I32, 1, count, 0, ids);
    write_array(split, "all__puzzle_indices.npy", HRM_I32, 1, count + 1, 0, indices);
    write_array(split, "all__group_indices.npy", HRM_I32, 1, count + 1, 0, indices);
}

static void remove_data(const char *dir)
{
    static const char *const names[] = {"test/dataset.json",
                                        "test/all__inputs.npy",
                                        "test/all__labels.npy",
                                        "test/all__puzzle_identifiers.npy",
                                        "test/all__puzzle_indices.npy",
                                        "test/all__group_indices.npy",
                                        "p.npy",
                                        "logits.npy",
                                        "x.png",
                                        "y.png",
                                        "test",
                                        ""};
    char path[512];
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", dir, names[i]);
        (void)remove(path);
    }
}

static int well_formed(const char *text, size_t length);
static char *whole_file(const char *path, size_t *length);

static void test_render(void)
{
    enum { COUNT = 6 };
    static uint8_t inputs[COUNT * 900], labels[COUNT * 900];
    static int32_t answers[COUNT * 900];
    static const score_task tasks[4] = {SCORE_SUDOKU, SCORE_SUDOKU, SCORE_MAZE, SCORE_ARC};
    static const int sides[4] = {9, 4, 10, 30}, vocabs[4] = {11, 6, 6, 12};
    char dir[300];
    snprintf(dir, sizeof dir, "%s", own_path("pictures"));
    for (int t = 0; t < 4; t++) {
        int side = sides[t], cells = side * side;
        memset(inputs, 0, sizeof inputs);
        memset(labels, 0, sizeof labels);
        for (int n = 0; n < COUNT; n++) {
            uint8_t *in = inputs + n * cells, *out = labels + n * cells;
            hrm_random r = hrm_random_make(13, (uint64_t)(t * 100 + n));
            if (tasks[t] == SCORE_SUDOKU) {
                sudoku_shape shape;
                sudoku_shape_make(&shape, side);
                (void)sudoku_generate(&shape, &r, 0, in, out);
                for (int i = 0; i < cells; i++) in[i]++, out[i]++;
            } else if (tasks[t] == SCORE_MAZE) {
                static char question[900], solution[900];
                (void)maze_generate(&r, side, 12, question, solution);
                for (int i = 0; i < cells; i++) {
                    in[i] = (uint8_t)(strchr("# SGo", question[i]) - "# SGo" + 1);
                    out[i] = (uint8_t)(strchr("# SGo", solution[i]) - "# SGo" + 1);
                }
            } else {
                for (int y = 0; y < 4 + n; y++)
                    for (int x = 0; x < 3 + n; x++)
                        in[y * 30 + x] = (uint8_t)(2 + hrm_random_below(&r, 10)), out[x * 30 + y] = in[y * 30 + x];
            }
        }
        for (int i = 0; i < COUNT * cells; i++) answers[i] = labels[i];
        answers[0] = answers[0] == 2 ? 3 : 2; /* the first example is wrong */
        write_data(dir, vocabs[t], cells, COUNT, inputs, labels, tasks[t] == SCORE_ARC);
        write_array(dir, "p.npy", HRM_I32, 2, COUNT, cells, answers);
        char drawing[400];
        size_t length;
        snprintf(drawing, sizeof drawing, "%s/x.svg", dir);
        CHECK(command(command_render, "render %s --predictions %s/p.npy -o %s", dir, dir, drawing) == TOOL_OK, "%s", said);
        char *svg = whole_file(drawing, &length);
        CHECK(svg && well_formed(svg, length) > 15 && !strstr(svg, "<style>"), "%s as SVG", score_task_name(tasks[t]));
        free(svg);
        (void)remove(drawing);
#ifdef CANVAS_HAS_PNG
        CHECK(command(command_render, "render %s --scale 1 -o %s/x.png", dir, dir) == TOOL_OK, "%s", said);
        CHECK(command(command_render, "render %s --scale 1 --count %d -o %s/x.png", dir, COUNT, dir) == TOOL_OK, "%s", said);
        CHECK(command(command_render, "render %s --scale 1 --index 1 --count 2 --predictions %s/p.npy --task %s -o %s/y.png",
                      dir, dir, score_task_name(tasks[t]), dir) == TOOL_OK,
              "%s", said);
        char path[400];
        hrm_file_map map;
        snprintf(path, sizeof path, "%s/y.png", dir);
        CHECK_OK(hrm_file_map_open(&map, path));
        CHECK(map.size > 1000 && memcmp(map.data, "\x89PNG", 4) == 0 && big_endian(map.data + 16) > 200, "a picture");
        hrm_file_map_close(&map);
        if (side == 4) { /* logits say the same as their arg max: the pictures are equal byte for byte */
            static float logits[COUNT * 16 * 6];
            for (int i = 0; i < COUNT * cells; i++) logits[i * 6 + answers[i]] = 2.5f;
            int64_t shape[3];
            hrm_npy_writer w;
            shape[0] = COUNT, shape[1] = cells, shape[2] = 6;
            snprintf(path, sizeof path, "%s/logits.npy", dir);
            CHECK_OK(hrm_npy_writer_open(&w, path, HRM_F32, 3, shape, NULL));
            CHECK_OK(hrm_npy_writer_write(&w, logits, COUNT));
            CHECK_OK(hrm_npy_writer_commit(&w));
            CHECK(command(command_render, "render %s --predictions %s/p.npy -o %s/x.png", dir, dir, dir) == TOOL_OK, "%s",
                  said);
            CHECK(command(command_render, "render %s --predictions %s/logits.npy -o %s/y.png", dir, dir, dir) == TOOL_OK, "%s",
                  said);
            hrm_file_map a, b;
            CHECK_OK(hrm_file_map_open(&b, (snprintf(path, sizeof path, "%s/x.png", dir), path)));
            CHECK_OK(hrm_file_map_open(&a, (snprintf(path, sizeof path, "%s/y.png", dir), path)));
            CHECK(a.size == b.size && memcmp(a.data, b.data, a.size) == 0, "the same picture from logits");
            hrm_file_map_close(&a);
            hrm_file_map_close(&b);
        }
        CHECK(command(command_render, "render %s -o %s/no/x.png", dir, dir) == TOOL_ERROR && strstr(said, "/no/x.png"), "%s",
              said);
#else
        CHECK(command(command_render, "render %s -o %s/x.png", dir, dir) == TOOL_ERROR && strstr(said, "libstb-dev"), "%s",
              said);
#endif
        CHECK(command(command_render, "render %s --index 6 -o x.png", dir) == TOOL_ERROR && strstr(said, "has 6 examples"),
              "%s", said);
        CHECK(command(command_render, "render %s --split train -o x.png", dir) == TOOL_ERROR && strstr(said, "train"), "%s",
              said);
        if (side == 10)
            CHECK(command(command_render, "render %s --task sudoku -o x.png", dir) == TOOL_ERROR && strstr(said, "100 cells"),
                  "%s", said);
        write_array(dir, "p.npy", HRM_I32, 2, 2, cells, answers);
        CHECK(command(command_render, "render %s --index 2 --predictions %s/p.npy -o x.png", dir, dir) == TOOL_ERROR &&
                  strstr(said, "2 predictions"),
              "%s", said);
        write_array(dir, "p.npy", HRM_I32, 2, 2, cells - 1, answers);
        CHECK(command(command_render, "render %s --predictions %s/p.npy -o x.png", dir, dir) == TOOL_ERROR &&
                  strstr(said, "shape"),
              "%s", said);
        CHECK(command(command_render, "render %s --predictions %s/none.npy -o x.png", dir, dir) == TOOL_ERROR &&
                  strstr(said, "none.npy"),
              "%s", said);
        remove_data(dir);
    }
    CHECK(command(command_render, "render") == TOOL_USAGE && strstr(said, "which data set"), "%s", said);
    CHECK(command(command_render, "render a") == TOOL_USAGE && strstr(said, "-o FILE.png"), "%s", said);
    CHECK(command(command_render, "render a b -o c.png") == TOOL_USAGE && strstr(said, "\"b\""), "%s", said);
    CHECK(command(command_render, "render a --indx 3 -o c.png") == TOOL_USAGE && strstr(said, "--indx"), "%s", said);
    CHECK(command(command_render, "render a --index three -o c.png") == TOOL_USAGE && strstr(said, "three"), "%s", said);
    CHECK(command(command_render, "render a --count 0 -o c.png") == TOOL_USAGE && strstr(said, "from 1"), "%s", said);
    static const uint8_t own_inputs[8] = {1, 2, 3, 0, 2, 2, 2, 2}, own_labels[8] = {3, 2, 1, 0, 1, 1, 1, 1};
    write_data(dir, 5, 4, 2, own_inputs, own_labels, 1);
    char vocabulary[400];
    snprintf(vocabulary, sizeof vocabulary, "%s/vocabulary.json", dir);
    CHECK(command(command_render, "render %s -o %s/x.png", dir, dir) == TOOL_ERROR && strstr(said, "give --task"), "%s", said);
    write_text(vocabulary, "{\"rows\": 1, \"columns\": 3, \"tokens\": [\"<pad>\", \"a\", \"b\", \"c\", \"d\"]}");
    CHECK(command(command_render, "render %s -o %s/x.png", dir, dir) == TOOL_ERROR && strstr(said, "1 x 3, but the examples"),
          "%s", said);
    write_text(vocabulary, "{\"rows\": 1, \"columns\": 4, \"tokens\": [\"<pad>\", \"a\", \"b\", \"c\", \"\"]}");
    CHECK(command(command_render, "render %s -o %s/x.png", dir, dir) == TOOL_ERROR && strstr(said, "a token that is no text"),
          "%s", said);
    write_text(vocabulary, "{\"rows\": 1, \"tokens\": []}");
    CHECK(command(command_render, "render %s -o %s/x.png", dir, dir) == TOOL_ERROR && strstr(said, "columns"), "%s", said);
#ifdef CANVAS_HAS_PNG
    write_text(vocabulary, "{\"rows\": 1, \"columns\": 4, \"tokens\": [\"<pad>\", \"a\", \"b\", \"c\", \"d\"]}");
    CHECK(command(command_render, "render %s --count 2 -o %s/x.png", dir, dir) == TOOL_OK, "%s", said);
    (void)remove(vocabulary);
    CHECK(command(command_render, "render %s --task grid -o %s/x.png", dir, dir) == TOOL_OK, "%s", said);
#endif
    (void)remove(vocabulary);
    remove_data(dir);
    CHECK(command(command_render, "render a --task chess -o c.png") == TOOL_USAGE && strstr(said, "chess"), "%s", said);
    CHECK(command(command_render, "render a -o") == TOOL_USAGE && strstr(said, "needs a value"), "%s", said);
    CHECK(command(command_render, "render no_such_folder -o c.png") == TOOL_ERROR && strstr(said, "no_such_folder"), "%s",
          said);
}

static int well_formed(const char *text, size_t length)
{
    /* every element is closed by its own name, or is empty; attributes are quoted */
    char stack[16][16];
    int depth = 0, elements = 0;
    const char *p = text, *end = text + length;
    while (p < end) {
        if (*p++ != '<') continue;
        int closing = *p == '/';
        const char *name = p + closing, *stop = name;
        while (stop < end && (*stop == '-' || (*stop >= '0' && *stop <= '9') || (*stop >= 'a' && *stop <= 'z'))) stop++;
        size_t n = (size_t)(stop - name);
        if (n == 0 || n > 15) return 0;
        for (p = stop; p < end && *p != '>'; p++) {
            if (*p == '<') return 0;
            if (*p == '"')
                while (++p < end && *p != '"')
                    if (*p == '<' || *p == '>') return 0;
        }
        if (p == end) return 0;
        if (closing) {
            if (depth-- == 0 || strlen(stack[depth]) != n || memcmp(stack[depth], name, n) != 0) return 0;
        } else if (p[-1] != '/') {
            if (depth == 16) return 0;
            memcpy(stack[depth], name, n);
            stack[depth++][n] = 0;
        }
        elements++;
    }
    return depth == 0 ? elements : 0;
}

static long count_of(const char *text, const char *what)
{
    long n = 0;
    for (const char *p = text; (p = strstr(p, what)) != NULL; p++) n++;
    return n;
}

static char *whole_file(const char *path, size_t *length)
{
    said[0] = 0;
    char *text = tool_read_text(path, length);
    CHECK(text != NULL, "%s: %s", path, said);
    return text;
}

#ifdef CANVAS_HAS_PNG
    #ifdef TEST_READS_PNG
static unsigned char *part_of(const unsigned char *file, size_t palette, size_t palette_length, size_t data, size_t length,
                              int width, int height, int skip)
{
    /* a frame as a picture of its own -> its pixels [height, width, 4]; checksums are not looked at */
    unsigned char *png = (unsigned char *)calloc(1, palette_length + length + 100), *to = png;
    int w, h, parts;
    memcpy(to, file, 33), to += 33;
    canvas__big_endian(png + 16, (size_t)width, 4);
    canvas__big_endian(png + 20, (size_t)height, 4);
    memcpy(to, file + palette, palette_length), to += palette_length;
    canvas__big_endian(to, length - (size_t)skip, 4);
    memcpy(to + 4, "IDAT", 4);
    memcpy(to + 8, file + data + skip, length - (size_t)skip), to += 12 + length - (size_t)skip;
    memcpy(to, "\0\0\0\0IEND", 8), to += 12;
    unsigned char *pixels = stbi_load_from_memory(png, (int)(to - png), &w, &h, &parts, 4);
    CHECK(pixels && w == width && h == height, "a frame of %d x %d can be read", width, height);
    free(png);
    return pixels;
}
    #endif

static void check_animation(const char *path, const picture_story *story)
{
    /* chunks, checksums, order; and that each frame laid over those before is what is drawn */
    size_t length, at = 8, palette = 0, palette_length = 0;
    unsigned char *file = (unsigned char *)whole_file(path, &length);
    uint32_t frames = 0, seen = 0, sequence = 0;
    int x = 0, y = 0, width = 0, height = 0, delay = 0, last = 0, first_delay = 0;
    canvas shown;
    CHECK_OK(picture_story_draw(&shown, story, 0));
    while (file && at + 12 <= length) {
        size_t n = big_endian(file + at);
        const unsigned char *name = file + at + 4, *data = file + at + 8;
        if (n > length - at - 12) break;
        CHECK(crc(name, n + 4) == big_endian(data + n), "the checksum of %.4s", (const char *)name);
        if (memcmp(name, "PLTE", 4) == 0) palette = at;
        if (memcmp(name, "PLTE", 4) == 0 || memcmp(name, "tRNS", 4) == 0) palette_length += n + 12;
        if (memcmp(name, "acTL", 4) == 0) {
            frames = big_endian(data);
            CHECK(big_endian(data + 4) == 0, "it goes on for ever");
        }
        if (memcmp(name, "fcTL", 4) == 0) {
            CHECK(big_endian(data) == sequence++, "frames are in order");
            width = (int)big_endian(data + 4), height = (int)big_endian(data + 8);
            x = (int)big_endian(data + 12), y = (int)big_endian(data + 16);
            CHECK(x + width <= shown.width && y + height <= shown.height && width > 0 && height > 0, "a part of the picture");
            delay = data[20] << 8 | data[21];
            if (!seen) first_delay = delay;
            CHECK((data[22] << 8 | data[23]) == 1000 && data[24] == 0 && data[25] == (seen > 0), "it stays, in milliseconds");
        }
        int later = memcmp(name, "fdAT", 4) == 0;
        if (later) CHECK(big_endian(data) == sequence++, "data are in order");
        if (later || memcmp(name, "IDAT", 4) == 0) {
            seen++;
    #ifdef TEST_READS_PNG
            unsigned char *part = part_of(file, palette, palette_length, at + 8, n, width, height, later ? 4 : 0);
            canvas drawn;
            CHECK_OK(picture_story_draw(&drawn, story, (int)seen - 1));
            for (int i = 0; part && i < width * height; i++)
                if (part[4 * i + 3])
                    memcpy(shown.pixels + ((y + i / width) * shown.width + x + i % width) * 3, part + 4 * i, 3);
            CHECK(memcmp(shown.pixels, drawn.pixels, (size_t)(shown.width * shown.height) * 3) == 0, "frame %u is as drawn",
                  seen);
            canvas_destroy(&drawn);
            stbi_image_free(part);
    #endif
        }
        last = memcmp(name, "IEND", 4) == 0;
        at += n + 12;
    }
    CHECK(at == length && last && frames == (uint32_t)story->count && seen == frames, "%u of %u frames", seen, frames);
    CHECK(delay > 2 * first_delay, "the last stays longer: %d ms after %d", delay, first_delay);
    canvas_destroy(&shown);
    (void)palette_length, (void)palette;
    free(file);
}
#endif

static void test_steps(void)
{
    static const char *const maze = "S #G \n  # #\n#   #\n  # #\n #   \n";
    char dir[300], file[400];
    size_t length;
    snprintf(dir, sizeof dir, "%s", own_path("steps"));
    (void)mkdir(dir, 0777);
    CHECK(command(command_render, "render --steps 3.1.12..43..21.3 halt=adaptive -o %s/x.svg", dir) == TOOL_OK, "%s", said);
    CHECK(told_keys == 1 && told_cells == 16, "%d keys, %d cells", told_keys, told_cells);
    snprintf(file, sizeof file, "%s/x.svg", dir);
    char *text = whole_file(file, &length);
    int elements = text ? well_formed(text, length) : 0;
    CHECK(elements > 40 && length < 30000, "%d elements in %zu bytes", elements, length);
    if (text) {
        CHECK(count_of(text, "@keyframes") >= 4 && count_of(text, "infinite") == 1 && strstr(text, "prefers-reduced-motion"),
              "an animation");
        CHECK(strstr(text, "fill=\"#fff\" d=\"M0 0h"), "a background of its own");
        CHECK(count_of(text, "class=\"f2-3\"") > 0 && count_of(text, "class=\"f3-4\"") > 0 &&
                  count_of(text, "class=\"f0-4\"") == 0,
              "ranges of frames");
        for (const char *use = text; (use = strstr(use, "href=\"#g")) != NULL; use++) { /* every glyph that is used is there */
            char id[24];
            snprintf(id, sizeof id, "<path id=\"g%d\"", atoi(use + 8));
            CHECK(strstr(text, id) != NULL, "%s", id);
        }
    }
    free(text);
    (void)remove(file);
    snprintf(file, sizeof file, "%s/m.txt", dir);
    write_text(file, maze);
    CHECK(command(command_render, "render --steps %s/m.txt checkpoint=m -o %s/m.svg", dir, dir) == TOOL_OK, "%s", said);
    CHECK(told_cells == 25, "%d cells", told_cells);
    (void)remove(file);
    snprintf(file, sizeof file, "%s/m.svg", dir);
    text = whole_file(file, &length);
    CHECK(text && well_formed(text, length) > 30, "a maze");
    free(text);
    (void)remove(file);
#ifdef CANVAS_HAS_PNG
    /* the picture's own story again, to compare each frame with */
    static const char *const boards[4] = {"3010120043002103", "0000000000000000", "3412123443212142", "3412123443212143"};
    int32_t tokens[4][16];
    picture_step steps[4];
    picture_story story;
    memset(steps, 0, sizeof steps);
    memset(&story, 0, sizeof story);
    for (int k = 0; k < 4; k++) {
        for (int i = 0; i < 16; i++) tokens[k][i] = boards[k][i] - '0' + 1;
        steps[k].segment = k, steps[k].answer = tokens[k], steps[k].before = k > 1 ? tokens[k - 1] : NULL;
    }
    story.board = picture_panel_make(PICTURE_SUDOKU, 4, tokens[0], NULL, NULL, "");
    story.title = "t", story.subtitle = "s", story.verdict = "valid", story.steps = steps, story.count = 4, story.scale = 1;
    snprintf(file, sizeof file, "%s/x.png", dir);
    CHECK_OK(picture_story_save(&story, file));
    check_animation(file, &story);
    CHECK(command(command_render, "render --steps 3.1.12..43..21.3 -o %s/x.png", dir) == TOOL_OK, "%s", said);
    (void)remove(file);
    story.count = 1;
    CHECK_FAILS(picture_story_save(&story, file), HRM_ERR_ARGUMENT, "1 frames");
#endif
    CHECK(command(command_render, "render --steps 3.1.12..43..21.3 halt=fail -o %s/x.svg", dir) == TOOL_ERROR &&
              strstr(said, "it failed"),
          "%s", said);
    CHECK(command(command_render, "render --steps 3.1 -o %s/x.svg", dir) == TOOL_ERROR && strstr(said, "2 cells") == NULL, "%s",
          said);
    CHECK(command(command_render, "render --steps 5.1.12..43..21.3 -o %s/x.svg", dir) == TOOL_ERROR &&
              strstr(said, "5, expected 1 to 4"),
          "%s", said);
    CHECK(command(command_render, "render --steps S### -o %s/x.svg", dir) == TOOL_ERROR && strstr(said, "0 goals"), "%s", said);
    CHECK(command(command_render, "render --steps boards.txt -o %s/x.svg", dir) == TOOL_ERROR && strstr(said, "no such file"),
          "%s", said);
    CHECK(command(command_render, "render --steps a --count 2 -o c.svg") == TOOL_USAGE && strstr(said, "one board"), "%s",
          said);
    CHECK(command(command_render, "render a halt=full -o c.svg") == TOOL_USAGE && strstr(said, "--steps"), "%s", said);
    CHECK(command(command_render, "render a -o c.jpg") == TOOL_USAGE && strstr(said, "c.jpg"), "%s", said);
    CHECK(command(command_render, "render a --scale 9 -o c.png") == TOOL_USAGE && strstr(said, "1 to 8"), "%s", said);
    CHECK(command(command_plot, "plot a -o c.gif") == TOOL_USAGE && strstr(said, "c.gif"), "%s", said);
    CHECK(command(command_plot, "plot a --scale x") == TOOL_USAGE && strstr(said, "1 to 8"), "%s", said);
    CHECK(rmdir(dir) == 0, "nothing is left");
}

static void test_axes(void)
{
    /* ticks are round, inside the axis, evenly spaced, and not too many, for ranges of all sizes */
    for (double size = 1e-8; size < 1e9; size *= 3.7)
        for (int k = 0; k < 20; k++) {
            double low = size * k / 7, high = low + size * (1 + k % 3);
            plot_axis a = plot_axis_make(low, high, 5, 1);
            CHECK(a.low <= low + size * 1e-9 && a.high >= high - size * 1e-9 && a.count >= 2 && a.count <= 8,
                  "%g to %g: %d ticks from %g to %g", low, high, a.count, a.low, a.high);
            char before[32] = "";
            for (int i = 0; i < a.count; i++) {
                char text[32];
                plot_label(text, a.ticks[i], &a);
                CHECK(strcmp(text, before) != 0 && strlen(text) < 12, "%g to %g: label %s after %s", low, high, text, before);
                memcpy(before, text, sizeof before);
            }
        }
    plot_axis flat = plot_axis_make(3, 3, 5, 1), zero = plot_axis_make(0, 0, 5, 1), logs = plot_axis_log(0.003, 40, 0);
    CHECK(flat.high > flat.low && flat.count >= 2 && zero.high > zero.low, "a constant has an axis too");
    CHECK(logs.log && logs.count >= 3 && fabs(plot_at(&logs, 1) - (0 - logs.low) / (logs.high - logs.low)) < 1e-12,
          "a logarithmic axis");
    plot_axis doubled = plot_axis_log(3, 24, 1), between = plot_axis_log(1.3, 9, 1);
    int right = doubled.count == 4 && doubled.ticks[0] == 3 && doubled.ticks[3] == 24 && between.count == 3 &&
                between.ticks[0] == 2 && between.ticks[2] == 8;
    CHECK(right, "an axis of doubled values: %d and %d ticks", doubled.count, between.count);
    char text[32];
    plot_axis steps = plot_axis_make(0, 20000, 5, 0), rate = plot_axis_make(0, 1e-4, 5, 1);
    plot_label(text, 15000, &steps);
    CHECK(strcmp(text, "15k") == 0, "%s", text);
    plot_label(text, 2e-5, &rate);
    CHECK(strcmp(text, "2e-5") == 0, "%s", text);
}

static void test_plot(void)
{
    static const char text[] = "{\"step\": 10, \"train/lm_loss\": 2.0, \"train/lr\": 1e-4, \"train/steps\": 3}\n"
                               "{\"step\": 20, \"train/lm_loss\": 1.0, \"train/lr\": 1e-4, \"train/steps\": null}\n\n"
                               "{\"step\": 20, \"eval/all/lm_loss\": 1.5, \"eval/all/exact_accuracy\": 0.25, \"note\": \"x\"}\n"
                               "not json\n"
                               "{\"step\": 30, \"train/lm_loss\": 0.5}\n"
                               "{\"step\": 20, \"train/lm_loss\": 0.9}\r\n" /* resumed from 10 */
                               "{\"step\": 30, \"train/lm_l";
    plot_run *run = (plot_run *)calloc(1, sizeof *run);
    CHECK_OK(plot_read(run, text, sizeof text - 1, "m.jsonl"));
    CHECK(run->lines == 7 && run->broken == 2 && run->last_broken, "%ld lines, %ld broken", run->lines, run->broken);
    CHECK(run->count == 5 && strcmp(run->curves[0].key, "train/lm_loss") == 0, "%d curves", run->count);
    CHECK(run->curves[0].n == 2 && run->curves[0].xy[2] > 19 && run->curves[0].xy[2] < 21 &&
              fabs(run->curves[0].xy[3] - 0.9) < 1e-9,
          "steps gone through twice count once");
    plot_panel *panels = (plot_panel *)calloc(PLOT_PANELS, sizeof *panels);
    int count = plot_find_panels(run, panels);
    CHECK(count == 4 && panels[0].count == 2 && strcmp(panels[0].names[0], "training") == 0 &&
              strcmp(panels[0].names[1], "evaluation") == 0,
          "%d panels", count);
    canvas c;
    CHECK_OK(plot_draw(&c, run, "run", 1));
    CHECK(inked(&c, 0, 0, c.width, c.height) > 5000, "a picture");
    long blue = 0, vermilion = 0;
    for (int y = 0; y < c.height; y++)
        for (int x = 0; x < c.width; x++)
            blue += canvas_pixel(&c, x, y) == CANVAS_BLUE, vermilion += canvas_pixel(&c, x, y) == CANVAS_VERMILION;
    CHECK(blue > 100 && vermilion > 20, "training is blue, evaluation vermilion: %ld, %ld", blue, vermilion);
    canvas_destroy(&c);
    for (int i = 0; i < run->count; i++) free(run->curves[i].xy);
    for (int k = 1; k <= 8; k++) { /* want of memory is no broken line */
        memset(run, 0, sizeof *run);
        short_of_memory = k;
        if (k < 8) CHECK_FAILS(plot_read(run, text, sizeof text - 1, "m.jsonl"), HRM_ERR_MEMORY, "out of memory");
        else CHECK_OK(plot_read(run, text, sizeof text - 1, "m.jsonl")); /* of seven lines */
        for (int i = 0; i < run->count; i++) free(run->curves[i].xy);
    }
    short_of_memory = 0;
    free(run);
    free(panels);

    char dir[300], path[400];
    snprintf(dir, sizeof dir, "%s", own_path("plot"));
    (void)mkdir(dir, 0777);
    CHECK(command(command_plot, "plot %s", dir) == TOOL_ERROR && strstr(said, "metrics.jsonl"), "%s", said);
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
    write_text(path, "");
    CHECK(command(command_plot, "plot %s", dir) == TOOL_ERROR && strstr(said, "has no line"), "%s", said);
    write_text(path, text);
    CHECK(command(command_plot, "plot %s -o %s/c.svg", dir, dir) == TOOL_OK, "%s", said);
    snprintf(path, sizeof path, "%s/c.svg", dir);
    size_t length;
    char *svg = whole_file(path, &length);
    CHECK(svg && well_formed(svg, length) > 40 && strstr(svg, "stroke=\"#0072b2\"") && !strstr(svg, "<style>"),
          "curves as SVG");
    free(svg);
    (void)remove(path);
    snprintf(path, sizeof path, "%s/metrics.jsonl", dir);
#ifdef CANVAS_HAS_PNG
    CHECK(command(command_plot, "plot %s", dir) == TOOL_OK, "%s", said);
    CHECK(strstr(said, "left out"), "%s", said);
    CHECK(command(command_plot, "plot %s/ --scale 1 -o %s/x.png", dir, dir) == TOOL_OK, "%s", said);
    CHECK(command(command_plot, "plot %s --scale 1 -o %s/y.png", path, dir) == TOOL_OK, "%s", said);
    hrm_file_map map;
    char picture[400];
    snprintf(picture, sizeof picture, "%s/curves.png", dir);
    CHECK_OK(hrm_file_map_open(&map, picture));
    CHECK(map.size > 1000 && memcmp(map.data, "\x89PNG", 4) == 0, "a picture beside the metrics");
    hrm_file_map_close(&map);
    (void)remove(picture);
#endif
    (void)remove(path);
    remove_data(dir);
    CHECK(command(command_plot, "plot") == TOOL_USAGE && strstr(said, "which run"), "%s", said);
    CHECK(command(command_plot, "plot a b") == TOOL_USAGE && strstr(said, "one run"), "%s", said);
    CHECK(command(command_plot, "plot a --log") == TOOL_USAGE && strstr(said, "--log"), "%s", said);
    CHECK(command(command_plot, "plot a -o") == TOOL_USAGE && strstr(said, "-o"), "%s", said);
}

int main(void)
{
    test_shapes();
    test_text();
    test_png(0);
    test_png(1);
    test_sudoku_sheet();
    test_maze_sheet();
    test_arc_sheet();
    test_grid_sheet();
    test_captions();
    test_detection();
    test_sudoku_score();
    test_maze_score_exhaustively();
    test_maze_score();
    test_render();
    test_steps();
    test_axes();
    test_plot();
    return test_summary();
}
