/* mbox-text.c -- the text of an mbox (mbox.h) */
#include "store/mbox.h"

#include <string.h>

static const char *const fields[MBOX_FIELDS] = {
	[MBOX_STATUS] = "Status:",
	[MBOX_X_STATUS] = "X-Status:",
	[MBOX_X_KEYWORDS] = "X-Keywords:",
	[MBOX_X_UID] = "X-UID:",
	[MBOX_X_IMAPBASE] = "X-IMAPbase:",
	[MBOX_X_IMAP] = "X-IMAP:",
	[MBOX_CONTENT_LENGTH] = "Content-Length:",
	[MBOX_LINES] = "Lines:",
};

/* clang-format off */
static const struct { enum mbox_field field; char letter; uint64_t flag; } letters[] = {
	{ MBOX_STATUS,   'R', FLAG_SEEN },     { MBOX_X_STATUS, 'A', FLAG_ANSWERED }, { MBOX_X_STATUS, 'F', FLAG_FLAGGED },
	{ MBOX_X_STATUS, 'D', FLAG_DELETED },  { MBOX_X_STATUS, 'T', FLAG_DRAFT },
};
/* clang-format on */

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";

static struct bytes
next_word(struct bytes *rest)
{
	struct bytes word;

	while (rest->len > 0 && rest->at[0] == ' ')
		*rest = bytes_cut(*rest, 1, rest->len);
	return bytes_split(rest, ' ', &word) ? word : (struct bytes){ NULL, 0 };
}

/* "12:34" or "12:34:56" */
static bool
time_of_day(struct bytes word, int64_t *seconds)
{
	struct bytes part;
	uint64_t     n;
	int64_t      all = 0;
	int          parts = 0;

	while (bytes_split(&word, ':', &part)) {
		if (part.len != 2 && !(part.len == 1 && parts == 0))
			return false;
		if (++parts > 3 || !bytes_number(part, &n) || n > 60)
			return false;
		all = all * 60 + (int64_t)n;
	}
	*seconds = parts == 2 ? all * 60 : all;
	return parts >= 2;
}

/* Days since 1970 of a day of the Gregorian calendar. */
static int64_t
days_of(int64_t year, int64_t month, int64_t day)
{
	year -= month <= 2;
	int64_t era = year / 400, of_era = year - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* "From eva@example.org Sat Jan  3 01:05:34 1996", a zone before or behind the year.   rfc4155:A */
static bool
read_from(struct bytes line, int64_t *date)
{
	int64_t      seconds = 0, month = 0, day = 0, year = 0;
	bool         timed = false;
	uint64_t     n;
	struct bytes rest = bytes_cut(line, 5, line.len), word;

	*date = 0;
	if (!bytes_starts(line, BYTES("From ")) || line.len > 1000)
		return false;
	while ((word = next_word(&rest)).at != NULL && (word.len > 0 || rest.len > 0)) {
		for (int m = 0; m < 12 && month == 0; m++)
			if (word.len == 3 && memcmp(word.at, months + m * 3, 3) == 0)
				month = m + 1;
		if (bytes_find(word, ':') > 0 && time_of_day(word, &seconds))
			timed = true;
		else if (word.len == 4 && bytes_number(word, &n) && n >= 1970)
			year = (int64_t)n;
		else if (month > 0 && day == 0 && word.len <= 2 && bytes_number(word, &n) &&
		         n >= 1 && n <= 31)
			day = (int64_t)n;
	}
	if (timed && year > 0 && month > 0 && day > 0)
		*date = days_of(year, month, day) * 86400 + seconds;
	return timed && year > 0 && month > 0;
}

bool
mbox_is_from(struct bytes line)
{
	int64_t date;

	return read_from(line, &date);
}

int64_t
mbox_from_date(struct bytes line)
{
	int64_t date;

	return read_from(line, &date) ? date : 0;
}

enum mbox_field
mbox_field_of(struct bytes line)
{
	for (int i = 0; i < MBOX_FIELDS; i++)
		if (bytes_starts_nocase(line, bytes_of(fields[i])))
			return (enum mbox_field)i;
	return MBOX_NO_FIELD;
}

static uint32_t
number_of(struct bytes word)
{
	uint64_t n;

	return bytes_number(word, &n) && n <= UINT32_MAX ? (uint32_t)n : 0;
}

void
mbox_field_read(enum mbox_field field, struct bytes line, struct mbox_state *s)
{
	struct bytes value;

	if (field == MBOX_NO_FIELD)
		return;
	value = bytes_trim(bytes_cut(line, strlen(fields[field]), line.len));
	for (size_t i = 0; i < value.len; i++) {
		if (field == MBOX_STATUS && value.at[i] == 'O')
			s->old = true;
		for (size_t k = 0; k < COUNT(letters); k++)
			if (letters[k].field == field && letters[k].letter == value.at[i])
				s->system |= letters[k].flag;
	}
	if (field == MBOX_X_KEYWORDS)
		s->keywords = value;
	if (field == MBOX_X_UID)
		s->uid = number_of(value);
	if (field == MBOX_X_IMAPBASE || field == MBOX_X_IMAP) {
		s->based |= field == MBOX_X_IMAP;
		s->uidvalidity = number_of(next_word(&value));
		s->last = number_of(next_word(&value));
	}
}

/* "Status: RO", "X-Status: AF", "X-Keywords: $Label1   " */
void
mbox_state_write(uint64_t system, bool old, struct bytes keywords, size_t room, struct buffer *out)
{
	size_t before = out->len;

	buffer_printf(out, "Status: %s%s\nX-Status: ", system & FLAG_SEEN ? "R" : "",
	              old ? "O" : "");
	for (size_t k = 0; k < COUNT(letters); k++)
		if (letters[k].field == MBOX_X_STATUS && (system & letters[k].flag))
			buffer_add_char(out, letters[k].letter);
	buffer_add_string(out, "\nX-Keywords: ");
	buffer_add(out, keywords);
	while (out->len - before + 1 < room)
		buffer_add_char(out, ' ');
	buffer_add_char(out, '\n');
}

bool
mbox_is_kept(struct bytes line, size_t *skip)
{
	struct bytes kept = BYTES("X-Kept-");

	*skip = 0;
	while (bytes_starts_nocase(line, kept)) {
		line = bytes_cut(line, kept.len, line.len);
		*skip = kept.len;
	}
	return mbox_field_of(line) != MBOX_NO_FIELD;
}

bool
mbox_is_quoted(struct bytes line)
{
	size_t n = 0;

	while (n < line.len && line.at[n] == '>')
		n++;
	return n > 0 && bytes_starts(bytes_cut(line, n, line.len), BYTES("From "));
}

bool
mbox_needs_quote(struct bytes line)
{
	return bytes_starts(line, BYTES("From ")) || mbox_is_quoted(line);
}
