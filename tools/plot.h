/* Charts as `hrm plot` draws them, of whatever lines. canvas.h comes first. */
#ifndef HRM_PLOT_H
#define HRM_PLOT_H

typedef struct plot_line {
    const char *name; /* "": alone in its chart */
    double     *xy;   /* [n, 2], x rising */
    size_t      n;
    unsigned    colour;
    int         marker, dashed; /* marker: 0 none, 1 disc, 2 square, 3 ring */
} plot_line;
typedef struct plot_chart {
    const char      *title, *across; /* across: what the axis below is of */
    int              percent, log;   /* percent: values are parts of 1; log: an axis of powers where they differ that much */
    int              log_across;     /* the axis below is one of powers, of two */
    const plot_line *lines;
    int              count;
} plot_chart;
/* Creates the canvas; three charts side by side. */
hrm_status plot_charts(canvas *c, const plot_chart *charts, int count, const char *title, const char *subtitle, int scale);

#endif
