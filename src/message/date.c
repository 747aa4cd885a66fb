#include "message/date.h"

#include <stdio.h>
#include <string.h>

static const char months[12][4] = {
	"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
};

/* rfc5322:4.3; the letters of the military count as nothing known. */
static const struct {
	char    name[5];
	int16_t minutes;
} zones[] = {
	{ "UT", 0 },     { "GMT", 0 },    { "UTC", 0 },    { "Z", 0 },
	{ "EST", -300 }, { "EDT", -240 }, { "CST", -360 }, { "CDT", -300 },
	{ "MST", -420 }, { "MDT", -360 }, { "PST", -480 }, { "PDT", -420 },
	{ "CET", 60 },   { "CEST", 120 }, { "BST", 60 },   { "JST", 540 },
};

struct moment {
	int64_t year;
	int32_t month, day, hour, minute, second, zone; /* month 1..12 */
};

struct text {
	const char *at, *end;
};

static bool
is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool
is_letter(char c)
{
	c = ascii_lower(c);
	return c >= 'a' && c <= 'z';
}

static char
peek(const struct text *t)
{
	return t->at < t->end ? *t->at : '\0';
}

static bool
take(struct text *t, char c)
{
	if (t->at == t->end || *t->at != c)
		return false;
	t->at++;
	return true;
}

/* CFWS, rfc5322:3.2.2; an unclosed comment reaches to the end. */
static void
skip_blanks(struct text *t)
{
	size_t depth = 0;

	for (; t->at < t->end; t->at++) {
		char c = *t->at;

		if (c == '(')
			depth++;
		else if (c == ')' && depth > 0)
			depth--;
		else if (c == '\\' && depth > 0 && t->at + 1 < t->end)
			t->at++;
		else if (depth == 0 && c != ' ' && c != '\t' && c != '\r' && c != '\n')
			return;
	}
}

/* 1 to `most` digits; how many there were, 0 for none, -1 for too many. */
static int
take_number(struct text *t, int most, int32_t *out)
{
	int n = 0;

	for (*out = 0; is_digit(peek(t)); t->at++) {
		if (n++ == most)
			return -1;
		*out = *out * 10 + (*t->at - '0');
	}
	return n;
}

static struct bytes
take_word(struct text *t)
{
	const char *start = t->at;

	while (is_letter(peek(t)))
		t->at++;
	return (struct bytes){ start, (size_t)(t->at - start) };
}

/* "Nov" or "November": the first three letters tell.  0 when none. */
static int32_t
month_of(struct bytes word)
{
	for (int32_t m = 0; m < 12; m++)
		if (word.len >= 3 && bytes_is(bytes_cut(word, 0, 3), months[m]))
			return m + 1;
	return 0;
}

static int64_t
floor_div(int64_t n, int64_t by)
{
	return n / by - (n % by < 0);
}

/* Days from 1970-01-01 in the Gregorian calendar; the year counts from March,
   so that the leap day is its last. */
static int64_t
days_of(int64_t year, int32_t month, int32_t day)
{
	int64_t y = month > 2 ? year : year - 1;
	int64_t month_from_march = (month + 9) % 12;
	int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;

	return 365 * y + floor_div(y, 4) - floor_div(y, 100) + floor_div(y, 400) + day_of_year -
	       719468;
}

static bool
day_exists(int64_t year, int32_t month, int32_t day)
{
	static const uint8_t days[12] = { 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool                 leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return month >= 1 && month <= 12 && day >= 1 && day <= days[month - 1] &&
	       (month != 2 || day < 29 || leap);
}

static bool
moment_seconds(const struct moment *m, int64_t *seconds, int32_t *zone)
{
	if (!day_exists(m->year, m->month, m->day) || m->hour > 23 || m->minute > 59 ||
	    m->second > 60)
		return false;
	*seconds = days_of(m->year, m->month, m->day) * 86400 + m->hour * 3600 + m->minute * 60 +
	           m->second - m->zone * 60;
	*zone = m->zone;
	return true;
}

/* rfc5322:4.3: two digits below 50 are of this century, three and other two
   digits count from 1900. */
static bool
take_year(struct text *t, int64_t *year)
{
	int32_t n;
	int     digits = take_number(t, 4, &n);

	*year = n;
	if (digits == 2)
		*year += n < 50 ? 2000 : 1900;
	else if (digits == 3)
		*year += 1900;
	return digits >= 2;
}

/* hour ":" minute [ ":" second [ "." fraction ]] */
static bool
take_time(struct text *t, struct moment *m)
{
	if (take_number(t, 2, &m->hour) < 1)
		return false;
	skip_blanks(t);
	if (!take(t, ':') && !take(t, '.'))
		return false;
	skip_blanks(t);
	if (take_number(t, 2, &m->minute) < 1)
		return false;
	skip_blanks(t);
	if (take(t, ':')) {
		skip_blanks(t);
		if (take_number(t, 2, &m->second) < 1)
			return false;
		if (take(t, '.'))
			while (is_digit(peek(t)))
				t->at++;
	}
	return true;
}

/* ("+" / "-") 4DIGIT, with a colon or only the hours also. */
static bool
take_offset(struct text *t, int32_t *minutes)
{
	bool    west = peek(t) == '-';
	int32_t n, more = 0;
	int     digits;

	t->at++;
	digits = take_number(t, 4, &n);
	if (digits < 1 || digits == 3)
		return false;
	if (digits == 4) {
		more = n % 100;
		n /= 100;
	} else if (take(t, ':') && take_number(t, 2, &more) != 2) {
		return false;
	}
	if (more > 59)
		return false;
	*minutes = n * 60 + more;
	if (west)
		*minutes = -*minutes;
	return true;
}

/* zone, or nothing: +0000.  "GMT+0800" is read as +0800. */
static bool
take_zone(struct text *t, int32_t *minutes)
{
	struct bytes word;

	*minutes = 0;
	skip_blanks(t);
	word = take_word(t);
	for (size_t i = 0; i < COUNT(zones); i++)
		if (bytes_is(word, zones[i].name))
			*minutes = zones[i].minutes;
	if (word.len > 0)
		skip_blanks(t);
	if (peek(t) == '+' || peek(t) == '-')
		return take_offset(t, minutes);
	return true;
}

/* asctime: month day time [zone] year, as "Nov 22 01:35:19 2026" */
static bool
take_asctime(struct text *t, struct moment *m)
{
	skip_blanks(t);
	if (take_number(t, 2, &m->day) < 1)
		return false;
	skip_blanks(t);
	if (take(t, ',')) { /* Nov 22, 2026 01:35:19 */
		skip_blanks(t);
		if (!take_year(t, &m->year))
			return false;
		skip_blanks(t);
		return take_time(t, m) && take_zone(t, &m->zone);
	}
	if (!take_time(t, m))
		return false;
	if (!take_zone(t, &m->zone))
		return false;
	skip_blanks(t);
	return take_year(t, &m->year);
}

/* rfc3339, which some programs write: 2026-11-22T01:35:19Z */
static bool
take_iso(struct text *t, struct moment *m, int32_t year)
{
	m->year = year;
	if (!take(t, '-') || take_number(t, 2, &m->month) < 1 || !take(t, '-') ||
	    take_number(t, 2, &m->day) < 1)
		return false;
	if (!take(t, 'T') && !take(t, 't'))
		skip_blanks(t);
	return take_time(t, m) && take_zone(t, &m->zone);
}

/* date-time = [ day-of-week "," ] day month year time-of-day zone */
bool
date_parse(struct bytes field, int64_t *seconds, int32_t *zone_minutes)
{
	struct text   t;
	struct moment m = { 0 };
	int           digits;

	if (field.len == 0)
		return false;
	t = (struct text){ field.at, field.at + field.len };
	skip_blanks(&t);
	if (is_letter(peek(&t))) {
		struct bytes word = take_word(&t);

		(void)(take(&t, ',') || take(&t, '.'));
		skip_blanks(&t);
		(void)take(&t, ',');
		skip_blanks(&t);
		if (!is_digit(peek(&t)))
			word = take_word(&t); /* asctime after a weekday */
		m.month = month_of(word);
		if (m.month != 0)
			return take_asctime(&t, &m) && moment_seconds(&m, seconds, zone_minutes);
	}
	digits = take_number(&t, 4, &m.day);
	if (digits < 1 || digits == 3)
		return false;
	if (digits == 4)
		return take_iso(&t, &m, m.day) && moment_seconds(&m, seconds, zone_minutes);
	skip_blanks(&t);
	(void)(take(&t, '-') || take(&t, '.'));
	skip_blanks(&t);
	m.month = month_of(take_word(&t));
	(void)(take(&t, '-') || take(&t, '.') || take(&t, ','));
	skip_blanks(&t);
	if (!take_year(&t, &m.year))
		return false;
	(void)take(&t, ',');
	skip_blanks(&t);
	return take_time(&t, &m) && take_zone(&t, &m.zone) &&
	       moment_seconds(&m, seconds, zone_minutes);
}

/*
 * IMAP's forms, rfc3501:9
 */

static struct text
without_quotes(struct bytes b)
{
	if (b.len >= 2 && b.at[0] == '"' && b.at[b.len - 1] == '"')
		b = bytes_cut(b, 1, b.len - 2);
	return (struct text){ b.at, b.at + b.len };
}

/* "-" date-month "-" date-year, which follow the day in both forms */
static bool
take_month_and_year(struct text *t, struct moment *m)
{
	struct bytes word;
	int32_t      year;

	if (!take(t, '-'))
		return false;
	word = take_word(t);
	m->month = word.len == 3 ? month_of(word) : 0;
	if (!take(t, '-') || take_number(t, 4, &year) != 4)
		return false;
	m->year = year;
	return true;
}

/* date-day-fixed "-" date-month "-" date-year SP time SP zone */
bool
imap_datetime_parse(struct bytes b, int64_t *seconds, int32_t *zone_minutes)
{
	struct text   t = without_quotes(b);
	struct moment m = { 0 };

	if (t.end - t.at != 26 && t.end - t.at != 25) /* the pad is forgotten by some */
		return false;
	(void)take(&t, ' ');
	if (take_number(&t, 2, &m.day) < 1 || !take_month_and_year(&t, &m) || !take(&t, ' ') ||
	    take_number(&t, 2, &m.hour) != 2 || !take(&t, ':') ||
	    take_number(&t, 2, &m.minute) != 2 || !take(&t, ':') ||
	    take_number(&t, 2, &m.second) != 2 || !take(&t, ' '))
		return false;
	if ((peek(&t) != '+' && peek(&t) != '-') || t.end - t.at != 5 ||
	    !take_offset(&t, &m.zone) || t.at != t.end)
		return false;
	return moment_seconds(&m, seconds, zone_minutes);
}

/* date = date-day "-" date-month "-" date-year */
bool
imap_date_parse(struct bytes b, int64_t *day)
{
	struct text   t = without_quotes(b);
	struct moment m = { 0 };

	if (t.at == t.end || take_number(&t, 2, &m.day) < 1 || !take_month_and_year(&t, &m) ||
	    t.at != t.end || !day_exists(m.year, m.month, m.day))
		return false;
	*day = days_of(m.year, m.month, m.day);
	return true;
}

/* The day back to its date: years of 400, 100, 4 and 1 from 0000-03-01. */
void
imap_datetime_text(int64_t seconds, int32_t zone_minutes, char out[static 32])
{
	int32_t zone = zone_minutes < 0 ? -zone_minutes : zone_minutes;
	int64_t local, days, era, of_era, years, of_year, march, second;
	int64_t most = INT64_C(253402300799); /* the last second of 9999 */

	if (zone_minutes > 5999 || zone_minutes < -5999)
		zone = zone_minutes = 0;
	local = (seconds < 0 ? 0 : seconds > most ? most : seconds) + zone_minutes * 60;
	if (local > most)
		local = most;
	days = floor_div(local, 86400);
	second = local - days * 86400;
	days += 719468;
	era = floor_div(days, 146097);
	of_era = days - era * 146097;
	years = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	of_year = of_era - (365 * years + years / 4 - years / 100);
	march = (5 * of_year + 2) / 153;
	snprintf(out, 32, "%02u-%s-%04u %02u:%02u:%02u %c%02u%02u",
	         (unsigned)(of_year - (153 * march + 2) / 5 + 1) % 100u, months[(march + 2) % 12],
	         (unsigned)(years + era * 400 + (march >= 10)) % 10000u,
	         (unsigned)(second / 3600) % 100u, (unsigned)(second / 60 % 60),
	         (unsigned)(second % 60), zone_minutes < 0 ? '-' : '+',
	         (unsigned)(zone / 60) % 100u, (unsigned)(zone % 60));
}
