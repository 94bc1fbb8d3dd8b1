/* version.h - the version of Redis that we tell clients we are (HELLO, INFO's redis_version): many
 * choose what they send by it. Our own version is ASHLAR_VERSION. */
#ifndef ASHLAR_SHARDS_VERSION_H
#define ASHLAR_SHARDS_VERSION_H

#define REDIS_COMPAT_VERSION "7.4.0"

#endif
