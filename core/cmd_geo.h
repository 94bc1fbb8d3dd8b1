/* cmd_geo.h - the functions that the geo table (cmd_geo_table.c) names. Private to core/. */
#ifndef ASHLAR_CORE_CMD_GEO_H
#define ASHLAR_CORE_CMD_GEO_H

#include "core/command.h"
#include "core/geohash.h"

/* cmd_geo.c: places of members */
command_run geo__geoadd, geo__geodist, geo__geohash, geo__geopos;
/* cmd_geo_search.c: members near a place */
command_run geo__georadius, geo__georadius_ro, geo__georadiusbymember, geo__georadiusbymember_ro;
command_run geo__geosearch, geo__geosearchstore;

/* --- shared --- */
/* Longitude and latitude from argv[i] and argv[i + 1]; false after an error reply. */
bool geo__arg_point(struct call *c, uint32_t i, struct geo_point *p);
/* How many metres "m", "km", "ft" or "mi" has; false after an error reply. */
bool geo__arg_unit(struct call *c, uint32_t i, double *metres);
/* A bulk string with four decimals. */
void geo__reply_distance(struct call *c, double distance);
/* Longitude and latitude as an array of two. */
void geo__reply_point(struct call *c, struct geo_point p);

#endif
