/* geohash.c - see geohash.h. */
#include "core/geohash.h"

#include <assert.h>
#include <math.h>

#define EARTH_RADIUS_M 6372797.560856
#define MERCATOR_MAX_M 20037726.37 /* half around the earth */
#define STANDARD_LATITUDE_MAX 90.0
enum { POLAR_LATITUDE = 66, ARCTIC_LATITUDE = 80 }; /* where cells get so narrow that a step less is needed */

static inline double radians(double degrees)
{
    return degrees * (M_PI / 180.0);
}

static inline double degrees(double rad)
{
    return rad / (M_PI / 180.0);
}

/* --- bits that take turns --- */

/* Bit i goes to bit 2 i. */
static inline uint64_t spread(uint32_t v)
{
    uint64_t w = v;
    w = (w | w << 16) & 0x0000ffff0000ffffu;
    w = (w | w << 8) & 0x00ff00ff00ff00ffu;
    w = (w | w << 4) & 0x0f0f0f0f0f0f0f0fu;
    w = (w | w << 2) & 0x3333333333333333u;
    return (w | w << 1) & 0x5555555555555555u;
}

static inline uint32_t gather(uint64_t w)
{
    w &= 0x5555555555555555u;
    w = (w | w >> 1) & 0x3333333333333333u;
    w = (w | w >> 2) & 0x0f0f0f0f0f0f0f0fu;
    w = (w | w >> 4) & 0x00ff00ff00ff00ffu;
    w = (w | w >> 8) & 0x0000ffff0000ffffu;
    return (uint32_t)(w | w >> 16);
}

static const uint64_t longitude_bits = 0xaaaaaaaaaaaaaaaau, latitude_bits = 0x5555555555555555u;

static struct geo_cell encode(struct geo_point p, double latitude_max, uint8_t step)
{
    assert(step >= 1 && step <= GEO_STEP_MAX);
    double y = (p.latitude + latitude_max) / (latitude_max + latitude_max);
    double x = (p.longitude + GEO_LONGITUDE_MAX) / (GEO_LONGITUDE_MAX + GEO_LONGITUDE_MAX);
    y *= (double)(1u << step);
    x *= (double)(1u << step);
    return (struct geo_cell){spread((uint32_t)y) | spread((uint32_t)x) << 1, step};
}

struct geo_cell geo_encode(struct geo_point p, uint8_t step)
{
    assert(geo_point_valid(p));
    return encode(p, GEO_LATITUDE_MAX, step);
}

uint64_t geo_score(struct geo_point p)
{
    return geo_encode(p, GEO_STEP_MAX).bits;
}

/* The box of a cell: from south west to north east. */
struct geo_area {
    struct geo_point min, max;
};

static struct geo_area area_of(struct geo_cell cell)
{
    const uint32_t y = gather(cell.bits), x = gather(cell.bits >> 1);
    const double parts = (double)(1ull << cell.step);
    const double height = GEO_LATITUDE_MAX + GEO_LATITUDE_MAX;
    const double width = GEO_LONGITUDE_MAX + GEO_LONGITUDE_MAX;
    /* y + 1 wraps around as it does in 32 bits, for scores that no point has */
    return (struct geo_area){
        .min = {-GEO_LONGITUDE_MAX + x / parts * width, -GEO_LATITUDE_MAX + y / parts * height},
        .max = {-GEO_LONGITUDE_MAX + (uint32_t)(x + 1) / parts * width,
                -GEO_LATITUDE_MAX + (uint32_t)(y + 1) / parts * height},
    };
}

static inline double clamp(double v, double max)
{
    return v > max ? max : v < -max ? -max : v;
}

/* A score that is no such integer (ZADD takes any) becomes the one that x86 makes of it. */
static uint64_t score_bits(double score)
{
    if (score >= 0x1p64) {
        return 0;
    }
    if (score >= 0) {
        return (uint64_t)score;
    }
    return score >= -0x1p63 ? (uint64_t)(int64_t)score : (uint64_t)1 << 63;
}

struct geo_point geo_decode(double score)
{
    struct geo_area area = area_of((struct geo_cell){score_bits(score), GEO_STEP_MAX});
    return (struct geo_point){
        clamp((area.min.longitude + area.max.longitude) / 2, GEO_LONGITUDE_MAX),
        clamp((area.min.latitude + area.max.latitude) / 2, GEO_LATITUDE_MAX),
    };
}

/* Five bits to a letter: ten of them, and an eleventh that the 52 bits do not reach. */
void geo_text(struct geo_point p, char out[GEO_TEXT_CHARS])
{
    static const char letters[] = "0123456789bcdefghjkmnpqrstuvwxyz";
    const uint64_t bits = encode(p, STANDARD_LATITUDE_MAX, GEO_STEP_MAX).bits;
    for (int i = 0; i < GEO_TEXT_CHARS - 1; i++) {
        out[i] = letters[bits >> (2 * GEO_STEP_MAX - 5 * (i + 1)) & 0x1f];
    }
    out[GEO_TEXT_CHARS - 1] = letters[0];
}

/* --- distances --- */

static inline double latitude_distance(double a, double b)
{
    return EARTH_RADIUS_M * fabs(radians(a) - radians(b));
}

/* Haversine. */
double geo_distance(struct geo_point a, struct geo_point b)
{
    const double v = sin((radians(b.longitude) - radians(a.longitude)) / 2);
    if (v == 0.0) {
        return latitude_distance(b.latitude, a.latitude);
    }
    const double from = radians(a.latitude), to = radians(b.latitude);
    const double u = sin((to - from) / 2);
    const double h = u * u + cos(from) * cos(to) * v * v;
    return 2.0 * EARTH_RADIUS_M * asin(sqrt(h));
}

bool geo_within(const struct geo_shape *shape, struct geo_point p, double *distance)
{
    if (!shape->is_box) {
        *distance = geo_distance(shape->center, p);
        return !(*distance > shape->radius * shape->unit);
    }
    if (latitude_distance(p.latitude, shape->center.latitude) > shape->height * shape->unit / 2) {
        return false;
    }
    const struct geo_point across = {shape->center.longitude, p.latitude};
    if (geo_distance(p, across) > shape->width * shape->unit / 2) {
        return false;
    }
    *distance = geo_distance(shape->center, p);
    return true;
}

/* --- what to search --- */

/* The box around a shape. Its sides bend; those of the half towards the equator, or the pole, are
 * taken as Redis takes them. */
static struct geo_area bounding_box(const struct geo_shape *s)
{
    const double height = s->unit * (s->is_box ? s->height / 2 : s->radius);
    const double width = s->unit * (s->is_box ? s->width / 2 : s->radius);
    const struct geo_point c = s->center;
    const double up = degrees(height / EARTH_RADIUS_M);
    const double edge = c.latitude < 0 ? c.latitude - up : c.latitude + up;
    const double aside = degrees(width / EARTH_RADIUS_M / cos(radians(edge)));
    return (struct geo_area){
        .min = {c.longitude - aside, c.latitude - up},
        .max = {c.longitude + aside, c.latitude + up},
    };
}

/* A cell about as large as the distance from the center to the shape's farthest point. */
static uint8_t choose_step(double reach_m, double latitude)
{
    if (reach_m == 0) {
        return GEO_STEP_MAX;
    }
    int step = 1;
    for (; reach_m < MERCATOR_MAX_M; reach_m *= 2) {
        step++;
    }
    step -= 2;
    step -= fabs(latitude) > POLAR_LATITUDE;
    step -= fabs(latitude) > ARCTIC_LATITUDE;
    return (uint8_t)(step < 1 ? 1 : step > GEO_STEP_MAX ? GEO_STEP_MAX : step);
}

static double reach_of(const struct geo_shape *s)
{
    if (!s->is_box) {
        return s->radius * s->unit;
    }
    return sqrt((s->width / 2) * (s->width / 2) + (s->height / 2) * (s->height / 2)) * s->unit;
}

/* The cell so many columns east and rows north, around the globe. The two kinds of bits are
 * numbers with gaps; filled with ones, the gaps let carries through. */
static struct geo_cell neighbour(struct geo_cell cell, int east, int north)
{
    const unsigned unused = 64 - cell.step * 2u;
    const uint64_t xs = longitude_bits >> unused, ys = latitude_bits >> unused;
    uint64_t x = cell.bits & longitude_bits, y = cell.bits & latitude_bits;
    if (east != 0) {
        x = (east > 0 ? x + (ys + 1) : (x | ys) - (ys + 1)) & xs;
    }
    if (north != 0) {
        y = (north > 0 ? y + (xs + 1) : (y | xs) - (xs + 1)) & ys;
    }
    return (struct geo_cell){x | y, cell.step};
}

/* Do the cells around this one reach as far as the box? */
static bool covers(struct geo_cell cell, const struct geo_area *box)
{
    return !(area_of(neighbour(cell, 0, 1)).max.latitude < box->max.latitude) &&
           !(area_of(neighbour(cell, 0, -1)).min.latitude > box->min.latitude) &&
           !(area_of(neighbour(cell, 1, 0)).max.longitude < box->max.longitude) &&
           !(area_of(neighbour(cell, -1, 0)).min.longitude > box->min.longitude);
}

unsigned geo_cover(const struct geo_shape *shape, struct geo_cell cells[GEO_CELLS_MAX])
{
    static const struct {
        int8_t east, north;
    } around[GEO_CELLS_MAX] = {{0, 0}, {0, 1},  {0, -1}, {1, 0},  {-1, 0},
                               {1, 1}, {-1, 1}, {1, -1}, {-1, -1}};
    const struct geo_area box = bounding_box(shape);
    uint8_t step = choose_step(reach_of(shape), shape->center.latitude);
    if (step > 1 && !covers(geo_encode(shape->center, step), &box)) {
        step--;
    }
    const struct geo_cell middle = geo_encode(shape->center, step);
    const struct geo_area own = area_of(middle);
    unsigned count = 0;
    for (unsigned i = 0; i < GEO_CELLS_MAX; i++) {
        const int east = around[i].east, north = around[i].north;
        /* a side on which the middle cell itself reaches beyond the box */
        if (step >= 2 && ((north < 0 && own.min.latitude < box.min.latitude) ||
                          (north > 0 && own.max.latitude > box.max.latitude) ||
                          (east < 0 && own.min.longitude < box.min.longitude) ||
                          (east > 0 && own.max.longitude > box.max.longitude))) {
            continue;
        }
        /* with few cells, the next one around the globe may be the same again */
        struct geo_cell cell = neighbour(middle, east, north);
        if (count > 1 && cell.bits == cells[count - 1].bits) {
            continue;
        }
        cells[count++] = cell;
    }
    return count;
}

void geo_cell_scores(struct geo_cell cell, uint64_t *first, uint64_t *end)
{
    const unsigned shift = 2u * (GEO_STEP_MAX - cell.step);
    *first = cell.bits << shift;
    *end = (cell.bits + 1) << shift;
}
