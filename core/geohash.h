/* geohash.h - places on the globe as integers of 52 bits, and the areas that a search looks at. Any
 * thread.
 *
 * The bits of a place's longitude and latitude take turns, longitude first: 26 of each, so that
 * neighbours mostly have close numbers, and a *cell*, all places whose first 2 * step bits are the
 * same, is one range of numbers. Latitudes end at 85.05 degrees (Web Mercator).
 *
 *   step 1     ┌────┬────┐          a search of a shape looks at the cell that its
 *              │ 01 │ 11 │          centre lies in and its eight neighbours; the step
 *              ├────┼────┤          is chosen so that these cover the shape
 *              │ 00 │ 10 │
 *              └────┴────┘
 *
 * The earth is a ball of 6372797.56 m. Cells and distances are exactly those of Redis, which sees
 * them in the order of replies and in the last digit: so the arithmetic is done in its order.
 */
#ifndef ASHLAR_CORE_GEOHASH_H
#define ASHLAR_CORE_GEOHASH_H

#include <stdbool.h>
#include <stdint.h>

#define GEO_LONGITUDE_MAX 180.0
#define GEO_LATITUDE_MAX 85.05112878

enum {
    GEO_STEP_MAX = 26,
    GEO_CELLS_MAX = 9,
    GEO_TEXT_CHARS = 11, /* of a standard geohash */
};

struct geo_point {
    double longitude, latitude; /* degrees */
};

struct geo_cell {
    uint64_t bits; /* 2 * step of them */
    uint8_t step;
};

static inline bool geo_point_valid(struct geo_point p)
{
    return p.longitude >= -GEO_LONGITUDE_MAX && p.longitude <= GEO_LONGITUDE_MAX &&
           p.latitude >= -GEO_LATITUDE_MAX && p.latitude <= GEO_LATITUDE_MAX;
}

/* The cell of a valid point. */
struct geo_cell geo_encode(struct geo_point p, uint8_t step);
/* What a point is stored as: a score of a sorted set. */
uint64_t geo_score(struct geo_point p);
/* The middle of the smallest cell that a score stands for. Any score gives a valid point. */
struct geo_point geo_decode(double score);
/* The geohash that the world uses (geohash.org): latitudes to 90 degrees, letters. */
void geo_text(struct geo_point p, char out[GEO_TEXT_CHARS]);

/* Metres along the surface. */
double geo_distance(struct geo_point a, struct geo_point b);

struct geo_shape {
    struct geo_point center;
    bool is_box;
    double radius, width, height; /* in units */
    double unit;                  /* metres */
};
/* Is the point within the shape? *distance from the center in metres, if so. */
bool geo_within(const struct geo_shape *shape, struct geo_point p, double *distance);
/* The cells to search, in the order to search them; returns how many. */
unsigned geo_cover(const struct geo_shape *shape, struct geo_cell cells[GEO_CELLS_MAX]);
/* Scores of the places of a cell: from first to before end. */
void geo_cell_scores(struct geo_cell cell, uint64_t *first, uint64_t *end);

#endif
