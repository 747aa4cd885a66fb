/*
 * date -- rfc5322:3.3 date-time with its obsolete forms, and IMAP's dates
 */
#ifndef MESSAGE_DATE_H
#define MESSAGE_DATE_H

#include "base/bytes.h"

/* False when unreadable.  Seconds since 1970 UTC, zone in minutes east. */
bool date_parse(struct bytes, int64_t *seconds, int32_t *zone_minutes);
/* rfc3501 date-time "22-Nov-2026 01:35:19 +0000" (with or without quotes off). */
bool imap_datetime_parse(struct bytes, int64_t *seconds, int32_t *zone_minutes);
void imap_datetime_text(int64_t seconds, int32_t zone_minutes, char out[static 32]);
/* rfc3501 date "1-Feb-1994": days since 1970. */
bool imap_date_parse(struct bytes, int64_t *day);

#endif
