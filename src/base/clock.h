/*
 * clock -- what time it is, for people and for patience
 *
 * clock_wall()   seconds since 1970, for headers and logs.
 * clock_wall_us() microseconds since 1970.
 * clock_patient_ms() milliseconds that never step back: timeouts use this.
 * In a unit test clock_pretend() fixes all three (seconds; 0: real again).
 * clock_rfc5322() writes "Sun, 22 Nov 2026 01:35:19 +0000 (UTC)" in local
 * time with its zone (rfc5322:3.3); room at least 48.  The zone is read from
 * disk at the first call: make it before the cage closes.
 */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stdint.h>
#include <stddef.h>

int64_t clock_wall(void);
int64_t clock_wall_us(void);
int64_t clock_patient_ms(void);
void    clock_pretend(int64_t wall);
void    clock_rfc5322(int64_t wall, char *out, size_t room);

#endif
