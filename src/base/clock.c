#include "base/clock.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What the tests say the time is; 0: ask the kernel. */
static int64_t pretended;

static int64_t
clock_us(clockid_t which)
{
	struct timespec now;

	if (pretended != 0)
		return pretended * 1000000;
	(void)clock_gettime(which, &now);
	return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

int64_t
clock_wall(void)
{
	return clock_us(CLOCK_REALTIME) / 1000000;
}

int64_t
clock_wall_us(void)
{
	return clock_us(CLOCK_REALTIME);
}

int64_t
clock_patient_ms(void)
{
	return clock_us(CLOCK_MONOTONIC) / 1000;
}

void
clock_pretend(int64_t wall)
{
	pretended = wall;
}

/* date-time = day-name "," SP day SP month SP year SP time SP zone  rfc5322:3.3
   The names are written here because strftime() asks the locale. */
void
clock_rfc5322(int64_t wall, char *out, size_t room)
{
	static const char days[7][4] = { "Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat" };
	static const char months[12][4] = { "Jan", "Feb", "Mar", "Apr", "May", "Jun",
		                            "Jul", "Aug", "Sep", "Oct", "Nov", "Dec" };
	struct tm         t = { 0 };
	time_t            when = (time_t)wall;

	if (localtime_r(&when, &t) == NULL)
		(void)gmtime_r(&(time_t){ 0 }, &t);
	long minutes = labs(t.tm_gmtoff) / 60;
	(void)snprintf(out, room, "%s, %d %s %d %02d:%02d:%02d %c%02ld%02ld (%s)", days[t.tm_wday],
	               t.tm_mday, months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec,
	               t.tm_gmtoff < 0 ? '-' : '+', minutes / 60, minutes % 60, t.tm_zone);
}
