/* canvas.h - a small picture: rectangles, smooth lines and discs, text in a stroke font drawn here; as PNG, animated or not,
 * and as SVG.
 *
 * Lengths are in units, `scale` pixels each; y points down, the centre of the first unit is (0.5, 0.5). Nothing outside the
 * picture is touched. Smooth shapes are first gathered in a mask (the largest coverage wins, so the joints of a line do not
 * darken) and then laid over the picture once. With the scale CANVAS_SVG the same calls write the shapes down instead.
 * Frames of an animation: canvas_show says which frames what follows is in. Pixels are of one frame, so the drawing is gone
 * through once a frame; an SVG drawing holds all of them.
 * PNG files are written by stb_image_write (Debian and Ubuntu: libstb-dev); without it, or with HRM_NO_STB, everything else
 * still builds and canvas_save says what to install.
 */
#ifndef HRM_TOOLS_CANVAS_H
#define HRM_TOOLS_CANVAS_H

#include "../hrm.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if !defined(HRM_NO_STB) && defined(HRM_HAVE_STB)
    #define CANVAS_HAS_PNG 1 /* the build has looked for it */
#elif !defined(HRM_NO_STB) && defined(__has_include)
    #if __has_include(<stb/stb_image_write.h>)
        #define CANVAS_HAS_PNG 1
    #endif
#endif

#ifdef CANVAS_HAS_PNG
    #include <setjmp.h>
/* stb_image_write asserts that there is memory. Here a block that cannot be had ends the encoding, wherever it is, and all of
 * its blocks, which are kept in a ring for that, are freed. */
typedef struct canvas__block { struct canvas__block *next, *before; double aligned; } canvas__block;
static canvas__block canvas__blocks = {&canvas__blocks, &canvas__blocks, 0};
static jmp_buf       canvas__no_memory;

static void *canvas__realloc(void *p, size_t bytes)
{
    canvas__block *old = p ? (canvas__block *)p - 1 : NULL, *b = (canvas__block *)realloc(old, sizeof *b + bytes);
    if (!b) longjmp(canvas__no_memory, 1); /* the old one is still in the ring */
    if (!old) b->next = &canvas__blocks, b->before = canvas__blocks.before;
    b->next->before = b->before->next = b;
    return b + 1;
}

static void canvas__free(void *p)
{
    canvas__block *b = p ? (canvas__block *)p - 1 : NULL;
    if (!b) return;
    b->next->before = b->before, b->before->next = b->next;
    free(b);
}
    #define STBIW_MALLOC(bytes)      canvas__realloc(NULL, bytes)
    #define STBIW_REALLOC(p, bytes)  canvas__realloc(p, bytes)
    #define STBIW_FREE(p)            canvas__free(p)
    #define STB_IMAGE_WRITE_IMPLEMENTATION
    #define STB_IMAGE_WRITE_STATIC
    #if defined(__GNUC__) || defined(__clang__)
        #pragma GCC diagnostic push
        #pragma GCC diagnostic ignored "-Wunused-function"
    #endif
    #include <stb/stb_image_write.h>
    #if defined(__GNUC__) || defined(__clang__)
        #pragma GCC diagnostic pop
    #endif
#endif

/* A text that grows; `failed` stays when memory ran out. */
typedef struct canvas__text { char *at; size_t length, room; int failed; } canvas__text;
/* Of a path's "d": where it ends, in tenths of a unit. */
typedef struct canvas__path { canvas__text text; long x, y; } canvas__path;

enum { CANVAS_SVG = 0, CANVAS_SCALE = 2 /* sharp on today's screens */, CANVAS_MAX_SCALE = 8, CANVAS_FRAMES = 34 };
typedef struct canvas {
    int            width, height; /* pixels; of an SVG drawing units */
    int            scale;
    unsigned char *pixels; /* [height, width, 3] red, green, blue; NULL of an SVG drawing */
    unsigned char *mask;   /* [height, width] coverage of the shape being gathered; all 0 between calls */
    int            x0, y0, x1, y1; /* what of the mask is in use */
    int            frame, frames;  /* which of how many; 0 of 1 */
    int            from, to;       /* frames that what is drawn now is in */
    char           title[160];     /* read aloud in place of an SVG drawing */
    canvas__text   drawn;
    canvas__path   path;           /* being gathered */
    double         radius;         /* its */
    char           open[160];      /* the element that what comes next may go on with */
    const char    *close;          /* how that ends */
    unsigned char  glyphs[95], shown[CANVAS_FRAMES][CANVAS_FRAMES + 1]; /* in use: characters, and ranges of frames */
} canvas;

/* Colours are 0xRRGGBB. These are the eight of Okabe and Ito, told apart under every common colour blindness. */
enum {
    CANVAS_WHITE = 0xFFFFFF, CANVAS_BLACK = 0x000000, CANVAS_INK = 0x222222, CANVAS_GREY = 0x6B6B6B, CANVAS_PALE = 0xE4E4E4,
    CANVAS_ORANGE = 0xE69F00, CANVAS_SKY = 0x56B4E9, CANVAS_GREEN = 0x009E73, CANVAS_YELLOW = 0xF0E442, CANVAS_BLUE = 0x0072B2,
    CANVAS_VERMILION = 0xD55E00, CANVAS_PURPLE = 0xCC79A7
};

/* ---- shapes as text ------------------------------------------------------------------------------------------------------ */

static inline void canvas__append(canvas__text *t, const char *more)
{
    size_t n = strlen(more);
    if (t->failed) return;
    if (t->length + n + 1 > t->room) {
        size_t room = 2 * t->room + n + 4096;
        char *at = (char *)realloc(t->at, room);
        if (!at) t->failed = 1;
        if (!at) return;
        t->at = at;
        t->room = room;
    }
    memcpy(t->at + t->length, more, n + 1);
    t->length += n;
}

static inline int canvas__drawable(double x) { return x > -1e6 && x < 1e6; } /* no to what is no number too */
static inline long canvas__tenths(double x) { return (long)floor(x * 10 + 0.5); }

static inline void canvas__number(canvas__text *t, long tenths, const char *before)
{
    /* "12", "-.5"; `before` parts it from the number ahead where its sign does not */
    char text[40];
    long whole = labs(tenths) / 10, part = labs(tenths) % 10;
    int n = snprintf(text, sizeof text, "%s%s", tenths < 0 && *before == ' ' ? "" : before, tenths < 0 ? "-" : "");
    if (whole || !part) n += snprintf(text + n, sizeof text - (size_t)n, "%ld", whole);
    if (part) (void)snprintf(text + n, sizeof text - (size_t)n, ".%ld", part);
    canvas__append(t, text);
}

static inline void canvas__move(canvas__path *p, double x, double y)
{
    long tx = canvas__tenths(x), ty = canvas__tenths(y);
    if (p->text.length && tx == p->x && ty == p->y) return;
    canvas__number(&p->text, p->x = tx, "M");
    canvas__number(&p->text, p->y = ty, " ");
}

static inline void canvas__line_to(canvas__path *p, double x, double y)
{
    long dx = canvas__tenths(x) - p->x, dy = canvas__tenths(y) - p->y;
    if (!dy) canvas__number(&p->text, dx, "h"); /* a dot, where dx is 0 too: its round ends */
    else if (!dx) canvas__number(&p->text, dy, "v");
    else canvas__number(&p->text, dx, "l"), canvas__number(&p->text, dy, " ");
    p->x += dx, p->y += dy;
}

static inline void canvas__colour(char text[8], unsigned colour)
{
    int twice = (colour >> 4 & 0x0F0F0F) == (colour & 0x0F0F0F);
    if (twice) snprintf(text, 8, "#%x%x%x", colour >> 16 & 15, colour >> 8 & 15, colour & 15);
    else snprintf(text, 8, "#%06x", colour & 0xFFFFFF);
}

static inline void canvas__element(canvas *c, const char *name, const char *attributes, const char *begin, const char *close)
{
    /* what comes next is inside <name attributes begin … close; it goes on where the same is open */
    char open[160], shown[24] = "";
    if (c->from > 0 || c->to < c->frames) {
        c->shown[c->from][c->to] = 1;
        snprintf(shown, sizeof shown, " class=\"f%d-%d\"", c->from, c->to);
    }
    snprintf(open, sizeof open, "<%s%s %s%s", name, shown, attributes, begin);
    if (c->close && strcmp(open, c->open) == 0) return;
    if (c->close) canvas__append(&c->drawn, c->close);
    canvas__append(&c->drawn, open);
    memcpy(c->open, open, sizeof open);
    c->close = close;
}

static inline int canvas__hidden(const canvas *c) { return c->frame < c->from || c->frame >= c->to; }

/* What follows is in the frames from..to-1. */
static inline void canvas_show(canvas *c, int from, int to)
{
    c->from = from;
    c->to = to;
}

/* ---- rectangles ---------------------------------------------------------------------------------------------------------- */

static inline void canvas__rect_path(canvas *c, int x, int y, int width, int height, unsigned colour)
{
    char fill[8], text[96];
    if (width <= 0 || height <= 0) return;
    canvas__colour(fill, colour);
    snprintf(text, sizeof text, "fill=\"%s\"", fill);
    canvas__element(c, "path", text, " d=\"", "\"/>\n");
    snprintf(text, sizeof text, "M%d %dh%dv%dh-%dz", x, y, width, height, width);
    canvas__append(&c->drawn, text);
}

static inline void canvas_rect(canvas *c, int x, int y, int width, int height, unsigned colour)
{
    if (c->scale == CANVAS_SVG) canvas__rect_path(c, x, y, width, height, colour);
    if (c->scale == CANVAS_SVG || canvas__hidden(c)) return;
    x *= c->scale, y *= c->scale, width *= c->scale, height *= c->scale;
    int x1 = x + width < c->width ? x + width : c->width, y1 = y + height < c->height ? y + height : c->height;
    if (x < 0) x = 0;
    if (y < 0) y = 0;
    for (int j = y; j < y1; j++) {
        unsigned char *p = c->pixels + ((size_t)j * (size_t)c->width + (size_t)x) * 3;
        for (int i = x; i < x1; i++, p += 3)
            p[0] = (unsigned char)(colour >> 16), p[1] = (unsigned char)(colour >> 8), p[2] = (unsigned char)colour;
    }
}

static inline void canvas_frame(canvas *c, int x, int y, int width, int height, int thickness, unsigned colour)
{
    /* a rectangle's border; it lies inside the rectangle */
    canvas_rect(c, x, y, width, thickness, colour);
    canvas_rect(c, x, y + height - thickness, width, thickness, colour);
    canvas_rect(c, x, y, thickness, height, colour);
    canvas_rect(c, x + width - thickness, y, thickness, height, colour);
}

static inline void canvas_destroy(canvas *c)
{
    free(c->pixels);
    free(c->mask);
    free(c->drawn.at);
    free(c->path.text.at);
    memset(c, 0, sizeof *c);
}

/* `width` x `height` units at `scale` pixels each, or CANVAS_SVG: frame `frame` of `frames`, or all of them. */
static inline hrm_status canvas_create_frame(canvas *c, int scale, int width, int height, unsigned background, int frame,
                                             int frames)
{
    int pixels = scale == CANVAS_SVG ? 1 : scale, most = 32768 / pixels;
    memset(c, 0, sizeof *c);
    if (width < 1 || height < 1 || width > most || height > most || (double)width * height * pixels * pixels > 5e8)
        return hrm_error_set(HRM_ERR_RANGE, "a picture of %.0f x %.0f pixels: 1 to 32768 each way is possible, 5e8 in all",
                             (double)width * pixels, (double)height * pixels);
    c->scale = scale;
    c->width = width * pixels;
    c->height = height * pixels;
    c->frame = frame;
    c->frames = c->to = frames;
    size_t n = (size_t)c->width * (size_t)c->height;
    if (scale != CANVAS_SVG) {
        c->pixels = (unsigned char *)malloc(n * 3);
        c->mask = c->pixels ? (unsigned char *)calloc(n, 1) : NULL;
        if (!c->mask) {
            hrm_status status =
                hrm_error_set(HRM_ERR_MEMORY, "no memory for a picture of %d x %d pixels", c->width, c->height);
            canvas_destroy(c);
            return status;
        }
    }
    canvas_rect(c, 0, 0, width, height, background);
    return HRM_OK;
}

static inline hrm_status canvas_create(canvas *c, int scale, int width, int height, unsigned background)
{
    return canvas_create_frame(c, scale, width, height, background, 0, 1);
}

static inline unsigned canvas_pixel(const canvas *c, int x, int y)
{
    const unsigned char *p = c->pixels + ((size_t)y * (size_t)c->width + (size_t)x) * 3;
    return (unsigned)p[0] << 16 | (unsigned)p[1] << 8 | p[2];
}

static inline unsigned canvas_mix(unsigned a, unsigned b, double t)
{
    /* (1 - t) a + t b */
    unsigned out = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
        double v = (a >> shift & 255) * (1 - t) + (b >> shift & 255) * t;
        out |= (unsigned)(v + 0.5) << shift;
    }
    return out;
}

/* ---- smooth shapes ------------------------------------------------------------------------------------------------------ */

static inline void canvas__gather(canvas *c, double ax, double ay, double bx, double by, double radius)
{
    /* coverage of all points within `radius` of the segment a-b, a pixel counting by its centre's distance from the edge */
    if (c->scale == CANVAS_SVG) {
        if (!canvas__drawable(ax) || !canvas__drawable(ay) || !canvas__drawable(bx) || !canvas__drawable(by)) return;
        canvas__move(&c->path, ax, ay);
        canvas__line_to(&c->path, bx, by);
        c->radius = radius;
        return;
    }
    if (canvas__hidden(c)) return;
    ax *= c->scale, ay *= c->scale, bx *= c->scale, by *= c->scale, radius *= c->scale;
    double lx = (ax < bx ? ax : bx) - radius - 1, ly = (ay < by ? ay : by) - radius - 1;
    double hx = (ax > bx ? ax : bx) + radius + 1, hy = (ay > by ? ay : by) + radius + 1;
    if (!(hx > 0 && hy > 0 && lx < c->width && ly < c->height)) return; /* also when a number is none */
    int x0 = lx > 0 ? (int)lx : 0, y0 = ly > 0 ? (int)ly : 0;
    int x1 = hx < c->width ? (int)hx + 1 : c->width, y1 = hy < c->height ? (int)hy + 1 : c->height;
    if (x1 > c->width) x1 = c->width;
    if (y1 > c->height) y1 = c->height;
    double dx = bx - ax, dy = by - ay, length2 = dx * dx + dy * dy, most = 2 * radius < 1 ? 2 * radius : 1;
    for (int y = y0; y < y1; y++) {
        unsigned char *m = c->mask + (size_t)y * (size_t)c->width;
        for (int x = x0; x < x1; x++) {
            double px = x + 0.5 - ax, py = y + 0.5 - ay;
            double t = length2 > 0 ? (px * dx + py * dy) / length2 : 0;
            t = t < 0 ? 0 : t > 1 ? 1 : t;
            px -= t * dx, py -= t * dy;
            double cover = radius + 0.5 - sqrt(px * px + py * py);
            if (cover <= 0) continue;
            /* 16 levels are as smooth as 256 to the eye, and make files a good deal smaller */
            unsigned char v = (unsigned char)(17 * (int)((cover < most ? cover : most) * 15 + 0.5));
            if (v > m[x]) m[x] = v;
        }
    }
    if (c->x1 <= c->x0) c->x0 = x0, c->y0 = y0, c->x1 = x1, c->y1 = y1;
    if (x0 < c->x0) c->x0 = x0;
    if (y0 < c->y0) c->y0 = y0;
    if (x1 > c->x1) c->x1 = x1;
    if (y1 > c->y1) c->y1 = y1;
}

static inline void canvas__lay_path(canvas *c, unsigned colour, double opacity)
{
    char stroke[8], text[96], through[32] = "";
    canvas__path *p = &c->path;
    if (!p->text.length && !p->text.failed) return;
    canvas__colour(stroke, colour);
    if (opacity < 1) snprintf(through, sizeof through, " opacity=\"%g\"", opacity);
    snprintf(text, sizeof text, "stroke=\"%s\" stroke-width=\"%.3g\"%s", stroke, 2 * c->radius, through);
    canvas__element(c, "path", text, " d=\"", "\"/>\n");
    if (p->text.at) canvas__append(&c->drawn, p->text.at);
    c->drawn.failed |= p->text.failed;
    p->text.length = 0;
}

static inline void canvas__lay(canvas *c, unsigned colour, double opacity)
{
    if (c->scale == CANVAS_SVG) canvas__lay_path(c, colour, opacity);
    for (int y = c->y0; y < c->y1; y++)
        for (int x = c->x0; x < c->x1; x++) {
            size_t at = (size_t)y * (size_t)c->width + (size_t)x;
            if (!c->mask[at]) continue;
            unsigned mixed = canvas_mix(canvas_pixel(c, x, y), colour, c->mask[at] / 255.0 * opacity);
            unsigned char *p = c->pixels + at * 3;
            p[0] = (unsigned char)(mixed >> 16), p[1] = (unsigned char)(mixed >> 8), p[2] = (unsigned char)mixed;
            c->mask[at] = 0;
        }
    c->x0 = c->y0 = c->x1 = c->y1 = 0;
}

static inline void canvas_line(canvas *c, double x0, double y0, double x1, double y1, double thickness, unsigned colour)
{
    canvas__gather(c, x0, y0, x1, y1, thickness / 2);
    canvas__lay(c, colour, 1);
}

static inline void canvas_polyline(canvas *c, const double *xy, size_t n, double thickness, unsigned colour, double opacity)
{
    /* xy [n, 2]; a point that is not finite interrupts the line. Written down, it leaves out points that lie on another */
    size_t from = 0;
    for (size_t i = 1; i < n; i++) {
        double dx = fabs(xy[2 * i] - xy[2 * from]), dy = fabs(xy[2 * i + 1] - xy[2 * from + 1]);
        if (c->scale == CANVAS_SVG && i + 1 < n && dx < 0.6 && dy < 0.6) continue;
        canvas__gather(c, xy[2 * from], xy[2 * from + 1], xy[2 * i], xy[2 * i + 1], thickness / 2);
        from = i;
    }
    if (n == 1) canvas__gather(c, xy[0], xy[1], xy[0], xy[1], thickness / 2);
    canvas__lay(c, colour, opacity);
}

static inline void canvas_disc(canvas *c, double x, double y, double radius, unsigned colour)
{
    canvas_line(c, x, y, x, y, 2 * radius, colour);
}

static inline void canvas_ring(canvas *c, double x, double y, double radius, double thickness, unsigned colour)
{
    int n = 12 + (int)(radius * 2);
    for (int i = 0; i < n; i++) {
        double a = 6.283185307179586 * i / n, b = 6.283185307179586 * (i + 1) / n;
        canvas__gather(c, x + radius * cos(a), y + radius * sin(a), x + radius * cos(b), y + radius * sin(b), thickness / 2);
    }
    canvas__lay(c, colour, 1);
}

static inline void canvas_cross(canvas *c, double x, double y, double radius, double thickness, unsigned colour)
{
    canvas__gather(c, x - radius, y - radius, x + radius, y + radius, thickness / 2);
    canvas__gather(c, x - radius, y + radius, x + radius, y - radius, thickness / 2);
    canvas__lay(c, colour, 1);
}

/* ---- text ---------------------------------------------------------------------------------------------------------------
 * A glyph is its width and then strokes of points "xy", each coordinate one character 0-9 a-z (0 to 35). The base line is at
 * y = 4, small letters reach 14 (e), capitals 18 (i), tails 0. A point after * is off the curve: it pulls, as in TrueType's
 * quadratic outlines, and between two of them lies an implied point on it. A lone point is a dot.
 */
static const char *const canvas__font[95] = {
    "5",                                              /*   */ "00i09 04",                                    /* ! */
    "40i0d 4i4d",                                     /* " */ "a3i14 9i74 0dad 09a9",                        /* # */
    "99f*8i5i*0i0f*0c5b*9a97*9444*0407 5k52",         /* $ */ "cci04 0f*0i3i*6i6f*6c3c*0c0f 67*6a9a*cac7*c494*6467", /* % */
    "bb43d*2e2f*2i5i*8i8f*8d5c*0a08*0444*84aa",       /* & */ "00i0d",                                       /* ' */
    "33k*0g0b*0632",                                  /* ( */ "30k*3g3b*3602",                               /* ) */
    "84i4a 0g8c 8g0c",                                /* * */ "a5f55 0aaa",                                  /* + */
    "1151401",                                        /* , */ "60a6a",                                       /* - */
    "004",                                            /* . */ "88k02",                                       /* / */
    "a0b*0i5i*aiab*a454*040b",                        /* 0 */ "a2f5i54 2484",                                /* 1 */
    "a0f*0i5i*aiae*ac7a04a4",                         /* 2 */ "a0g*1i5i*9i9f*9b4b 4b5b*aba7*a454*1406",      /* 3 */
    "a7i08a8 7i74",                                   /* 4 */ "a9i1i1b*2d5d*ada8*a454*1406",                 /* 5 */
    "a9g*8i5i*0i0908*0454*a4a8*ad5d*0d08",            /* 6 */ "a0iai44",                                     /* 7 */
    "a5b*1b1f*1i5i*9i9f*9b5b 5b*0b07*0454*a4a7*ab5b", /* 8 */ "a16*2454*a4adae*ai5i*0i0e*0959*a9ae",         /* 9 */
    "004 0c",                                         /* : */ "11c 151401",                                  /* ; */
    "99g0a94",                                        /* < */ "a0cac 08a8",                                  /* = */
    "90g9a04",                                        /* > */ "80f*0i4i*8i8f*8c4a48 44",                     /* ? */
    "ea9*ad7d*4d4a*4676*96a9 ada8*a6c6*e6eb*ei7i*0i0a*0272*92b3", /* @ */ "a045ia4 2989",                    /* A */
    "9040i4i*8i8f*8b4b0b 4b5b*9b97*945404",           /* B */ "aaf*9i6i*0i0b*0464*94a7",                     /* C */
    "a040i4i*aiab*a44404",                            /* D */ "88i0i0484 0b7b",                              /* E */
    "88i0i04 0b7b",                                   /* F */ "aaf*9i6i*0i0b*0464*a4a8aa6a",                 /* G */
    "a040i a4ai 0bab",                                /* H */ "0040i",                                       /* I */
    "77i78*7434*0408",                                /* J */ "9040i 9i09 3c94",                             /* K */
    "80i0484",                                        /* L */ "c040i68cic4",                                 /* M */
    "a040ia4ai",                                      /* N */ "c0b*0i6i*cicb*c464*040b",                     /* O */
    "9040i5i*9i9e*9a5a0a",                            /* P */ "c0b*0i6i*cicb*c464*040b 78c3",                /* Q */
    "9040i5i*9i9e*9a5a0a 5a94",                       /* R */ "99f*8i5i*0i0f*0c5b*9a97*9444*0407",           /* S */
    "a0iai 5i54",                                     /* T */ "a0i08*0454*a4a8ai",                           /* U */
    "a0i54ai",                                        /* V */ "e0i447ga4ei",                                 /* W */
    "a04ai 0ia4",                                     /* X */ "a0i5bai 5b54",                                /* Y */
    "a0iai04a4",                                      /* Z */ "33k0k0232",                                   /* [ */
    "80k82",                                          /* \ */ "30k3k3202",                                   /* ] */
    "80c4i8c",                                        /* ^ */ "a01a1",                                       /* _ */
    "30i3f",                                          /* ` */ "88e84 89*8e4e*0e09*0444*8489",                /* a */
    "80i04 09*0e4e*8e89*8444*0409",                   /* b */ "88c*7e4e*0e09*0444*7486",                     /* c */
    "88i84 89*8e4e*0e09*0444*8489",                   /* d */ "80989*8e4e*0e09*0444*7486",                   /* e */
    "55i*2i2f24 0e5e",                                /* f */ "88e83*8040*1002 89*8e4e*0e09*0444*8489",      /* g */
    "80i04 09*0e4e*8e8a84",                           /* h */ "00e04 0i",                                    /* i */
    "33e32*3000 3i",                                  /* j */ "70i04 7e08 2a74",                             /* k */
    "20i06*0424",                                     /* l */ "c0e04 0a*0e3e*6e6a64 6a*6e9e*cecac4",         /* m */
    "80e04 09*0e4e*8e8a84",                           /* n */ "809*0e4e*8e89*8444*0409",                     /* o */
    "80e00 09*0e4e*8e89*8444*0409",                   /* p */ "88e80 89*8e4e*0e09*0444*8489",                /* q */
    "50e04 09*0e5e",                                  /* r */ "77c*6e4e*0e0b*0a49*7877*7434*1406",           /* s */
    "52i27*2454 0e5e",                                /* t */ "80e08*0444*8489 8e84",                        /* u */
    "80e448e",                                        /* v */ "c0e346d94ce",                                 /* w */
    "80e84 048e",                                     /* x */ "80e44 8e20",                                  /* y */
    "80e8e0484",                                      /* z */ "44k*2k2h2e*2b0b*2b2825*2242",                 /* { */
    "00k02",                                          /* | */ "40k*2k2h2e*2b4b*2b2825*2202",                 /* } */
    "a09*0b2b*4b5a*6979*a9ab"                         /* ~ */
};

enum { CANVAS__UNITS = 14, CANVAS__SPACE = 5 }; /* of the grid: a capital's height; between two glyphs */

typedef enum canvas_align { CANVAS_LEFT, CANVAS_CENTRE, CANVAS_RIGHT } canvas_align;
typedef struct canvas_style {
    double       size;   /* height of a capital, in units */
    double       weight; /* thickness of the strokes as a part of it [0.13]; 0.2 is bold */
    unsigned     colour;
    canvas_align align;
    int          upwards; /* 1: turned by a quarter, read from below */
} canvas_style;

static inline const char *canvas__glyph(char ch) { return canvas__font[ch >= ' ' && ch <= '~' ? ch - ' ' : '?' - ' ']; }
static inline int canvas__digit(char ch) { return ch >= 'a' ? ch - 'a' + 10 : ch - '0'; }

static inline canvas_style canvas_style_make(double size, unsigned colour, canvas_align align)
{
    canvas_style s;
    s.size = size, s.weight = 0, s.colour = colour, s.align = align, s.upwards = 0;
    return s;
}

static inline double canvas_text_width(const char *text, double size)
{
    int units = 0;
    for (const char *p = text; *p; p++) units += canvas__digit(canvas__glyph(*p)[0]) + (p[1] ? CANVAS__SPACE : 0);
    return units * size / CANVAS__UNITS;
}

typedef struct canvas__pen {
    canvas *c;
    double x, y, scale, radius;
    int upwards;
    canvas__path *outline; /* not NULL: the glyph's strokes go there */
} canvas__pen;

static inline void canvas__stroke(canvas__pen *pen, double ax, double ay, double bx, double by)
{
    double s = pen->scale;
    ay = 4 - ay, by = 4 - by;
    if (pen->outline) {
        canvas__move(pen->outline, ax, ay);
        canvas__line_to(pen->outline, bx, by);
        return;
    }
    if (pen->upwards) canvas__gather(pen->c, pen->x + ay * s, pen->y - ax * s, pen->x + by * s, pen->y - bx * s, pen->radius);
    else canvas__gather(pen->c, pen->x + ax * s, pen->y + ay * s, pen->x + bx * s, pen->y + by * s, pen->radius);
}

static inline void canvas__curve(canvas__pen *pen, double ax, double ay, double qx, double qy, double bx, double by)
{
    if (pen->outline) {
        canvas__path *o = pen->outline;
        canvas__move(o, ax, 4 - ay);
        canvas__number(&o->text, canvas__tenths(qx), "Q");
        canvas__number(&o->text, canvas__tenths(4 - qy), " ");
        canvas__number(&o->text, o->x = canvas__tenths(bx), " ");
        canvas__number(&o->text, o->y = canvas__tenths(4 - by), " ");
        return;
    }
    int n = 4 + (int)(pen->scale * pen->c->scale * 3);
    double px = ax, py = ay;
    for (int i = 1; i <= n; i++) {
        double t = (double)i / n, u = 1 - t;
        double x = u * u * ax + 2 * u * t * qx + t * t * bx, y = u * u * ay + 2 * u * t * qy + t * t * by;
        canvas__stroke(pen, px, py, x, y);
        px = x, py = y;
    }
}

static inline void canvas__draw_glyph(canvas__pen *pen, const char *p)
{
    double x = 0, y = 0, qx = 0, qy = 0; /* where the pen is; the point that pulls */
    int points = 0, pulled = 0;
    for (p++;; p++) {
        if (*p == ' ' || !*p) {
            if (points == 1) canvas__stroke(pen, x, y, x, y);
            points = pulled = 0;
            if (!*p) return;
            continue;
        }
        int off = *p == '*';
        if (off) p++;
        double nx = canvas__digit(p[0]), ny = canvas__digit(p[1]);
        p++;
        if (off && pulled) {
            double mx = (qx + nx) / 2, my = (qy + ny) / 2;
            canvas__curve(pen, x, y, qx, qy, mx, my);
            x = mx, y = my;
        }
        if (off) {
            qx = nx, qy = ny;
        } else {
            if (pulled) canvas__curve(pen, x, y, qx, qy, nx, ny);
            else if (points) canvas__stroke(pen, x, y, nx, ny);
            x = nx, y = ny;
        }
        pulled = off;
        points++;
    }
}

static inline void canvas__text_path(canvas *c, double x, double y, const char *text, const canvas__pen *pen, unsigned colour)
{
    /* a use of each glyph in the font's own units */
    char stroke[8], attributes[120];
    if (!canvas__drawable(x) || !canvas__drawable(y)) return;
    canvas__colour(stroke, colour);
    snprintf(attributes, sizeof attributes, "stroke=\"%s\" stroke-width=\"%.3g\" transform=\"scale(%.4g)%s\"", stroke,
             2 * pen->radius / pen->scale, pen->scale, pen->upwards ? "rotate(-90)" : "");
    canvas__element(c, "g", attributes, ">", "</g>\n");
    x /= pen->scale, y /= pen->scale;
    if (pen->upwards) {
        double swap = x;
        x = -y, y = swap;
    }
    for (const char *p = text; *p; p++) {
        int n = (int)(canvas__glyph(*p) == canvas__glyph('?') ? '?' - ' ' : *p - ' ');
        char use[40];
        snprintf(use, sizeof use, "<use href=\"#g%d\"", n);
        if (n > 0) {
            c->glyphs[n] = 1;
            canvas__append(&c->drawn, use);
            canvas__number(&c->drawn, canvas__tenths(x), " x=\"");
            canvas__number(&c->drawn, canvas__tenths(y), "\" y=\"");
            canvas__append(&c->drawn, "\"/>");
        }
        x += canvas__digit(canvas__glyph(*p)[0]) + CANVAS__SPACE;
    }
}

/* x, y: the base line's left end, middle or right end. Characters that the font lacks appear as question marks. */
static inline void canvas_text(canvas *c, double x, double y, const char *text, canvas_style style)
{
    double shift = canvas_text_width(text, style.size) * (style.align == CANVAS_LEFT     ? 0
                                                          : style.align == CANVAS_CENTRE ? 0.5
                                                                                         : 1);
    canvas__pen pen;
    memset(&pen, 0, sizeof pen);
    pen.c = c;
    pen.scale = style.size / CANVAS__UNITS;
    pen.radius = style.size * (style.weight > 0 ? style.weight : 0.13) / 2;
    pen.upwards = style.upwards;
    pen.x = style.upwards ? x : x - shift;
    pen.y = style.upwards ? y + shift : y;
    if (c->scale == CANVAS_SVG) {
        if (*text) canvas__text_path(c, pen.x, pen.y, text, &pen, style.colour);
        return;
    }
    for (const char *p = text; *p; p++) {
        canvas__draw_glyph(&pen, canvas__glyph(*p));
        double step = (canvas__digit(canvas__glyph(*p)[0]) + CANVAS__SPACE) * pen.scale;
        if (style.upwards) pen.y -= step;
        else pen.x += step;
    }
    canvas__lay(c, style.colour, 1);
}

/* ---- files --------------------------------------------------------------------------------------------------------------
 * Drawings have few colours but for the blends at smooth edges; a byte a pixel and a palette make a file a third as large.
 * Where 256 are not enough the rarest blends take the nearest colour of the palette, if one is near: single pixels, which
 * nobody sees.
 */
#ifdef CANVAS_HAS_PNG
enum { CANVAS__SLOTS = 8192, CANVAS__COLOURS = 4096, CANVAS__NEAR = 48 /* of 255, each channel */ };
typedef struct canvas__palette {
    int      at[CANVAS__SLOTS]; /* open addressing: place + 1 of a colour, 0 empty */
    unsigned colours[CANVAS__COLOURS], uses[CANVAS__COLOURS];
    int      place[CANVAS__COLOURS]; /* in `chosen` */
    unsigned chosen[256];
    int      count;
} canvas__palette;

static inline int canvas__find(canvas__palette *p, unsigned colour, int add)
{
    /* -> the colour's number, -1: too many */
    unsigned slot = (colour * 2654435761u) >> 19;
    while (p->at[slot] && p->colours[p->at[slot] - 1] != colour) slot = (slot + 1) & (CANVAS__SLOTS - 1);
    if (!p->at[slot] && add) {
        if (p->count == CANVAS__COLOURS) return -1;
        p->colours[p->count++] = colour;
        p->at[slot] = p->count;
    }
    return p->at[slot] - 1;
}

static inline int canvas__choose(canvas__palette *p, const canvas *frames, int count)
{
    /* -> how many colours the palette has, 0: a palette would show. In an animation it has one place more, for what stays. */
    int most = count > 1 ? 255 : 256;
    for (const canvas *c = frames; c < frames + count; c++)
        for (int y = 0; y < c->height; y++)
            for (int x = 0; x < c->width; x++) {
                int n = canvas__find(p, canvas_pixel(c, x, y), 1);
                if (n < 0) return 0;
                p->uses[n]++;
            }
    int size = p->count < most ? p->count : most;
    for (int n = 0; n < p->count; n++) p->place[n] = -1;
    for (int k = 0; k < size; k++) { /* the most frequent ones */
        int best = 0;
        while (p->place[best] >= 0) best++;
        for (int n = best + 1; n < p->count; n++)
            if (p->place[n] < 0 && p->uses[n] > p->uses[best]) best = n;
        p->place[best] = k;
        p->chosen[k] = p->colours[best];
    }
    for (int n = 0; n < p->count; n++) {
        int nearest = 256;
        for (int k = 0; k < size && p->place[n] < 0; k++) {
            int far = 0;
            for (int shift = 0; shift <= 16; shift += 8) {
                int d = abs((int)(p->chosen[k] >> shift & 255) - (int)(p->colours[n] >> shift & 255));
                if (d > far) far = d;
            }
            if (far < nearest) nearest = far, p->uses[n] = (unsigned)k;
        }
        if (p->place[n] >= 0) continue;
        if (nearest > CANVAS__NEAR && count == 1) return 0;
        p->place[n] = (int)p->uses[n];
    }
    return size;
}

static inline void canvas__put(hrm_writer *writer, uint32_t *crc, const void *data, size_t bytes)
{
    /* the writer keeps its first error for the commit */
    const unsigned char *p = (const unsigned char *)data;
    for (size_t i = 0; i < bytes; i++) {
        *crc ^= p[i];
        for (int k = 0; k < 8; k++) *crc = *crc & 1 ? 0xEDB88320u ^ *crc >> 1 : *crc >> 1;
    }
    (void)hrm_writer_write(writer, data, bytes);
}

static inline void canvas__big_endian(unsigned char *p, size_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) p[i] = (unsigned char)(value >> 8 * (bytes - 1 - i));
}

static inline void canvas__chunk(hrm_writer *writer, const char *name, const unsigned char *data, size_t bytes)
{
    uint32_t crc = 0xFFFFFFFFu, ignored = 0;
    unsigned char number[4];
    canvas__big_endian(number, bytes, 4);
    canvas__put(writer, &ignored, number, 4);
    canvas__put(writer, &crc, name, 4);
    canvas__put(writer, &crc, data, bytes);
    canvas__big_endian(number, ~crc, 4);
    canvas__put(writer, &ignored, number, 4);
}

typedef struct canvas__part { int x, y, width, height; } canvas__part;

static inline canvas__part canvas__difference(const canvas *a, const canvas *b)
{
    /* the rectangle outside of which two frames are equal; a pixel where they all are */
    int x0 = a->width, y0 = a->height, x1 = 0, y1 = 0;
    for (int y = 0; y < a->height; y++)
        for (int x = 0; x < a->width; x++) {
            if (canvas_pixel(a, x, y) == canvas_pixel(b, x, y)) continue;
            if (x < x0) x0 = x;
            if (x >= x1) x1 = x + 1;
            if (y < y0) y0 = y;
            y1 = y + 1;
        }
    canvas__part part = {x0, y0, x1 - x0, y1 - y0}, none = {0, 0, 1, 1};
    return x1 > x0 ? part : none;
}

static inline int canvas__write_indexed(hrm_writer *writer, const canvas *frames, int count, const int *ms,
                                        canvas__palette *p, int colours, unsigned char *rows)
{
    /* rows: room for a frame's, the filter (none) and the pixels' places in the palette. A later frame is the part that differs
     * from the one before, and of that only the pixels that do: the others are clear. */
    unsigned char header[26], palette[768], clear[256];
    uint32_t sequence = 0;
    canvas__big_endian(header, (size_t)frames->width, 4);
    canvas__big_endian(header + 4, (size_t)frames->height, 4);
    header[8] = 8, header[9] = 3, header[10] = header[11] = header[12] = 0; /* 8 bits, palette */
    for (int i = 0; i < 3 * colours; i++) palette[i] = (unsigned char)(p->chosen[i / 3] >> (16 - 8 * (i % 3)));
    (void)hrm_writer_write(writer, "\x89PNG\r\n\x1a\n", 8);
    canvas__chunk(writer, "IHDR", header, 13);
    if (count > 1) { /* for ever */
        canvas__big_endian(header, (size_t)count, 4);
        canvas__big_endian(header + 4, 0, 4);
        canvas__chunk(writer, "acTL", header, 8);
        for (int i = 0; i < 3; i++) palette[3 * colours + i] = 255;
    }
    canvas__chunk(writer, "PLTE", palette, (size_t)(colours + (count > 1)) * 3);
    memset(clear, 255, sizeof clear);
    clear[colours < 256 ? colours : 255] = 0;
    if (count > 1) canvas__chunk(writer, "tRNS", clear, (size_t)colours + 1);
    for (int k = 0; k < count; k++) {
        const canvas *c = &frames[k], *before = k ? c - 1 : NULL;
        canvas__part whole = {0, 0, c->width, c->height}, part = before ? canvas__difference(before, c) : whole;
        unsigned char *row = rows;
        int bytes = 0;
        for (int y = part.y; y < part.y + part.height; y++) {
            *row++ = 0;
            for (int x = part.x; x < part.x + part.width; x++) {
                unsigned colour = canvas_pixel(c, x, y);
                int stays = before && canvas_pixel(before, x, y) == colour;
                *row++ = (unsigned char)(stays ? colours : p->place[canvas__find(p, colour, 0)]);
            }
        }
        unsigned char *packed = stbi_zlib_compress(rows, (part.width + 1) * part.height, &bytes, 64);
        if (!packed) return 0;
        if (count > 1) {
            canvas__big_endian(header, sequence++, 4);
            canvas__big_endian(header + 4, (size_t)part.width, 4);
            canvas__big_endian(header + 8, (size_t)part.height, 4);
            canvas__big_endian(header + 12, (size_t)part.x, 4);
            canvas__big_endian(header + 16, (size_t)part.y, 4);
            canvas__big_endian(header + 20, (size_t)ms[k], 2);
            canvas__big_endian(header + 22, 1000, 2);
            header[24] = 0, header[25] = k > 0; /* stays; laid over the one before */
            canvas__chunk(writer, "fcTL", header, 26);
        }
        if (k > 0) {
            packed = (unsigned char *)canvas__realloc(packed, (size_t)bytes + 4);
            memmove(packed + 4, packed, (size_t)bytes);
            canvas__big_endian(packed, sequence++, 4);
            canvas__chunk(writer, "fdAT", packed, (size_t)bytes + 4);
        } else {
            canvas__chunk(writer, "IDAT", packed, (size_t)bytes);
        }
        canvas__free(packed);
    }
    canvas__chunk(writer, "IEND", header, 0);
    return 1;
}

static inline void canvas__to_writer(void *writer, void *data, int bytes)
{
    (void)hrm_writer_write((hrm_writer *)writer, data, (size_t)bytes);
}
#endif

static inline void canvas__style(canvas__text *t, const canvas *c, const int *ms)
{
    /* every range of frames that occurs, as parts of the time that all take; who wants no motion sees the last frame */
    char text[200];
    double total = 0, at[CANVAS_FRAMES + 1];
    for (int k = 0; k < c->frames; k++) at[k] = total, total += ms[k];
    at[c->frames] = total;
    snprintf(text, sizeof text, "<style>[class]{animation:%gs step-end infinite}", total / 1000);
    canvas__append(t, text);
    for (int from = 0; from < c->frames; from++)
        for (int to = from + 1; to <= c->frames; to++) {
            if (!c->shown[from][to]) continue;
            snprintf(text, sizeof text, ".f%d-%d{animation-name:f%d-%d%s}@keyframes f%d-%d{", from, to, from, to,
                     to < c->frames ? ";visibility:hidden" : "", from, to);
            canvas__append(t, text);
            if (from > 0) canvas__append(t, "0%{visibility:hidden}");
            snprintf(text, sizeof text, "%.5g%%{visibility:visible}", 100 * at[from] / total);
            canvas__append(t, text);
            if (to < c->frames) snprintf(text, sizeof text, "%.5g%%{visibility:hidden}}", 100 * at[to] / total);
            canvas__append(t, to < c->frames ? text : "}");
        }
    canvas__append(t, "@media(prefers-reduced-motion){[class]{animation:none}}</style>\n");
}

static inline hrm_status canvas__save_svg(const canvas *c, const int *ms, const char *path)
{
    char head[300], one[2] = "";
    canvas__text t;
    canvas__path glyph;
    canvas__pen pen;
    hrm_writer *writer;
    memset(&t, 0, sizeof t);
    memset(&glyph, 0, sizeof glyph);
    memset(&pen, 0, sizeof pen);
    pen.outline = &glyph;
    snprintf(head, sizeof head, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
             "fill=\"none\" stroke-linecap=\"round\" stroke-linejoin=\"round\" role=\"img\">\n<title>", c->width, c->height,
             c->width, c->height);
    canvas__append(&t, head);
    for (const char *p = c->title; *p; p++) {
        one[0] = *p >= ' ' && *p <= '~' ? *p : '?';
        canvas__append(&t, *p == '&' ? "&amp;" : *p == '<' ? "&lt;" : one);
    }
    canvas__append(&t, "</title>\n");
    if (c->frames > 1) canvas__style(&t, c, ms);
    canvas__append(&t, "<defs>");
    for (int n = 0; n < 95; n++) {
        if (!c->glyphs[n]) continue;
        glyph.text.length = 0;
        canvas__draw_glyph(&pen, canvas__font[n]);
        snprintf(head, sizeof head, "<path id=\"g%d\" d=\"", n);
        canvas__append(&t, head);
        if (glyph.text.at) canvas__append(&t, glyph.text.at);
        canvas__append(&t, "\"/>");
    }
    canvas__append(&t, "</defs>\n");
    int failed = t.failed || glyph.text.failed || c->drawn.failed;
    free(glyph.text.at);
    hrm_status status = failed ? hrm_error_set(HRM_ERR_MEMORY, "%s: no memory for its shapes", path)
                               : hrm_writer_open(&writer, path, NULL);
    if (status == HRM_OK) { /* the writer keeps its first error for the commit */
        (void)hrm_writer_write(writer, t.at, t.length);
        (void)hrm_writer_write(writer, c->drawn.at, c->drawn.length);
        if (c->close) (void)hrm_writer_write(writer, c->close, strlen(c->close));
        (void)hrm_writer_write(writer, "</svg>\n", 7);
        status = hrm_writer_commit(writer);
    }
    free(t.at);
    return status;
}

/* Frames that are shown for ms [frames] milliseconds each, over and over, as a file, whole or not at all: `count` pictures of a
 * size as PNG, or one SVG drawing of all frames. */
static inline hrm_status canvas_save_frames(const canvas *frames, int count, const int *ms, const char *path)
{
    if (frames->scale == CANVAS_SVG) return canvas__save_svg(frames, ms, path);
#ifdef CANVAS_HAS_PNG
    const canvas *const c = frames;
    hrm_writer *writer;
    hrm_status status = hrm_writer_open(&writer, path, NULL);
    if (status != HRM_OK) return status;
    unsigned char *const rows = (unsigned char *)malloc((size_t)(c->width + 1) * (size_t)c->height);
    canvas__palette *const palette = (canvas__palette *)calloc(1, sizeof *palette);
    volatile int done = 0;
    stbi_write_png_compression_level = 64; /* how far stb looks for repeats: drawings have many */
    if (rows && !setjmp(canvas__no_memory)) {
        int colours = palette ? canvas__choose(palette, c, count) : 0;
        if (colours) done = canvas__write_indexed(writer, c, count, ms, palette, colours, rows);
        else if (count == 1)
            done = stbi_write_png_to_func(canvas__to_writer, writer, c->width, c->height, 3, c->pixels, c->width * 3);
    }
    while (canvas__blocks.next != &canvas__blocks) canvas__free(canvas__blocks.next + 1); /* none, where it went well */
    free(palette);
    free(rows);
    if (!done) {
        hrm_writer_abort(writer);
        return hrm_error_set(HRM_ERR_MEMORY, "%s: no memory to encode a picture of %d x %d pixels", path, c->width, c->height);
    }
    return hrm_writer_commit(writer); /* reports what a write before it met */
#else
    (void)count;
    return hrm_error_set(HRM_ERR_UNSUPPORTED,
                         "%s: built without PNG; install stb_image_write (Debian, Ubuntu: apt install libstb-dev) and rebuild, "
                         "or name a file that ends in .svg",
                         path);
#endif
}

static inline hrm_status canvas_save(const canvas *c, const char *path) { return canvas_save_frames(c, 1, NULL, path); }

/* The scale that a file's name asks for: `scale` of .png, CANVAS_SVG of .svg; -1: neither. */
static inline int canvas_scale_of(const char *path, int scale)
{
    size_t n = strlen(path);
    const char *end = n > 4 ? path + (n - 4) : "";
    return strcmp(end, ".png") == 0 || strcmp(end, ".PNG") == 0   ? scale
           : strcmp(end, ".svg") == 0 || strcmp(end, ".SVG") == 0 ? CANVAS_SVG
                                                                  : -1;
}

#endif
