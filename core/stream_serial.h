/* stream_serial.h - what serial.c's tables have for streams. Private to core/. Any thread. */
#ifndef ASHLAR_CORE_STREAM_SERIAL_H
#define ASHLAR_CORE_STREAM_SERIAL_H

#include "core/serial_type.h"

serial__save stream__save;
serial__load stream__load; /* RDB_STREAM_LISTPACKS, _2, _3 */

#endif
