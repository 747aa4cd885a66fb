#include "unit.h"

#include "message/date.h"

struct date_case { const char *why, *in; bool ok; int64_t seconds; int32_t zone; };

static const struct date_case dates[] = {
	{ "rfc5322:A.1.1", "Fri, 21 Nov 1997 09:55:06 -0600", true, 880127706, -360 },
	{ "rfc5322:A.1.2", "Tue, 1 Jul 2003 10:52:37 +0200", true, 1057049557, 120 },
	{ "rfc5322:A.5 comment", "Thu,\r\n      13\r\n        Feb\r\n          1969\r\n      23:32\r\n               -0330 (Newfoundland Time)", true, -27723480, -210 },
	{ "rfc5322:A.6.2 obsolete", "21 Nov 97 09:55:06 GMT", true, 880106106, 0 },
	{ "rfc5322:A.6.3 blanks", "Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", true, 880127706, -360 },
	{ "two digits of this century", "21 Nov 26 00:00:00 +0000", true, 1795219200, 0 },
	{ "three digits", "21 Nov 126 00:00:00 +0000", true, 1795219200, 0 },
	{ "no seconds", "22 Nov 2026 01:35 +0800", true, 1795282500, 480 },
	{ "no zone", "22 Nov 2026 01:35:19", true, 1795311319, 0 },
	{ "zone by name", "22 Nov 2026 01:35:19 EST", true, 1795329319, -300 },
	{ "military zone", "22 Nov 2026 01:35:19 Q", true, 1795311319, 0 },
	{ "GMT and a number", "22 Nov 2026 01:35:19 GMT+0800", true, 1795282519, 480 },
	{ "zone with a colon", "22 Nov 2026 01:35:19 +08:00", true, 1795282519, 480 },
	{ "-0000", "22 Nov 2026 01:35:19 -0000", true, 1795311319, 0 },
	{ "leap second", "31 Dec 2016 23:59:60 +0000", true, 1483228800, 0 },
	{ "leap day", "29 Feb 2024 00:00:00 +0000", true, 1709164800, 0 },
	{ "no leap day", "29 Feb 2023 00:00:00 +0000", false, 0, 0 },
	{ "century without leap day", "29 Feb 1900 00:00:00 +0000", false, 0, 0 },
	{ "asctime", "Sun Nov 22 01:35:19 2026", true, 1795311319, 0 },
	{ "asctime with a zone", "Sun Nov 22 01:35:19 EST 2026", true, 1795329319, -300 },
	{ "American", "Nov 22, 2026 01:35:19 +0000", true, 1795311319, 0 },
	{ "hyphens", "Sunday, 22-Nov-26 01:35:19 GMT", true, 1795311319, 0 },
	{ "whole month", "22 November 2026 01:35:19 +0000", true, 1795311319, 0 },
	{ "rfc3339", "2026-11-22T01:35:19Z", true, 1795311319, 0 },
	{ "rfc3339 with fraction", "2026-11-22 01:35:19.123+08:00", true, 1795282519, 480 },
	{ "day 32", "32 Nov 2026 01:35:19 +0000", false, 0, 0 },
	{ "hour 24", "22 Nov 2026 24:00:00 +0000", false, 0, 0 },
	{ "minute 60", "22 Nov 2026 01:60:00 +0000", false, 0, 0 },
	{ "zone with 60 minutes", "22 Nov 2026 01:35:19 +0160", false, 0, 0 },
	{ "year 0001", "1 Jan 0001 00:00:00 +0000", true, -62135596800, 0 },
	{ "year 9999", "31 Dec 9999 23:59:59 +0000", true, 253402300799, 0 },
	{ "digits without end", "99999999999999999999 Nov 2026 00:00:00", false, 0, 0 },
	{ "no month", "22 Foo 2026 01:35:19 +0000", false, 0, 0 },
	{ "nothing", "", false, 0, 0 },
	{ "words", "yesterday", false, 0, 0 },
};

static void
test_dates(void **state)
{
	(void)state;
	HOLDS("a field that is not there", !date_parse((struct bytes){ NULL, 0 }, &(int64_t){ 0 }, &(int32_t){ 0 }));
	for (size_t i = 0; i < COUNT(dates); i++) {
		int64_t seconds = 0;
		int32_t zone = 0;

		HOLDS(dates[i].why, date_parse(bytes_of(dates[i].in), &seconds, &zone) == dates[i].ok);
		if (!dates[i].ok)
			continue;
		HOLDS(dates[i].why, seconds == dates[i].seconds);
		HOLDS(dates[i].why, zone == dates[i].zone);
	}
}

static void
test_imap(void **state)
{
	static const struct { const char *why, *in; bool ok; const char *out; } rows[] = {
		{ "rfc3501:9", "17-Jul-1996 02:44:25 -0700", true, "17-Jul-1996 02:44:25 -0700" },
		{ "quotes", "\"17-Jul-1996 02:44:25 -0700\"", true, "17-Jul-1996 02:44:25 -0700" },
		{ "day-fixed", " 1-Feb-2004 23:59:59 +0530", true, "01-Feb-2004 23:59:59 +0530" },
		{ "pad forgotten", "1-Feb-2004 23:59:59 +0530", true, "01-Feb-2004 23:59:59 +0530" },
		{ "the beginning", "01-Jan-1970 00:00:00 +0000", true, "01-Jan-1970 00:00:00 +0000" },
		{ "leap day", "29-Feb-2000 12:00:00 +0000", true, "29-Feb-2000 12:00:00 +0000" },
		{ "far away", "31-Dec-9999 23:59:59 +0000", true, "31-Dec-9999 23:59:59 +0000" },
		{ "no zone", "17-Jul-1996 02:44:25", false, "" },
		{ "zone by name", "17-Jul-1996 02:44:25   GMT", false, "" },
		{ "no such day", "31-Jun-1996 02:44:25 -0700", false, "" },
		{ "two digits of a year", "17-Jul-96 02:44:25 -070000", false, "" },
		{ "empty", "", false, "" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t seconds = 0;
		int32_t zone = 0;
		char out[32];

		HOLDS(rows[i].why, imap_datetime_parse(bytes_of(rows[i].in), &seconds, &zone) == rows[i].ok);
		if (!rows[i].ok)
			continue;
		imap_datetime_text(seconds, zone, out);
		SAME(rows[i].why, bytes_of(out), bytes_of(rows[i].out));
	}
}

/* Every day of eight centuries there and back. */
static void
test_every_day(void **state)
{
	(void)state;
	for (int64_t day = 0; day < 292194; day++) {
		char text[32];
		int64_t seconds;
		int32_t zone;

		imap_datetime_text(day * 86400 + 4711, 0, text);
		HOLDS(text, imap_datetime_parse(bytes_of(text), &seconds, &zone));
		HOLDS(text, seconds == day * 86400 + 4711);
	}
}

static void
test_imap_date(void **state)
{
	static const struct { const char *why, *in; bool ok; int64_t day; } rows[] = {
		{ "rfc3501:6.4.4", "1-Feb-1994", true, 8797 },
		{ "quotes", "\"01-Feb-1994\"", true, 8797 },
		{ "before 1970", "31-Dec-1969", true, -1 },
		{ "month in any case", "1-fEb-1994", true, 8797 },
		{ "whole month", "1-February-1994", false, 0 },
		{ "two digits", "1-Feb-94", false, 0 },
		{ "with a time", "1-Feb-1994 00:00:00", false, 0 },
		{ "no such day", "30-Feb-1994", false, 0 },
		{ "empty", "", false, 0 },
		{ "a quote", "\"", false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t day = 0;

		HOLDS(rows[i].why, imap_date_parse(bytes_of(rows[i].in), &day) == rows[i].ok);
		HOLDS(rows[i].why, !rows[i].ok || day == rows[i].day);
	}
}

UNIT(test_dates, test_imap, test_every_day, test_imap_date)
