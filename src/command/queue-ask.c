#include "command/queue-ask.h"

#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/arena.h"
#include "role/wire.h"

static const char **
words(const char *verb, int argc, const char *const *argv)
{
	const char **all = memory_take(((size_t)argc + 2) * sizeof *all);

	all[0] = "queue";
	all[1] = verb;
	for (int i = 0; i < argc; i++)
		all[i + 2] = argv[i];
	return all;
}

int
queue_rows(struct call *c, const char *verb, int argc, const char *const *argv, struct buffer *said)
{
	const char    **all = words(verb, argc, argv);
	struct word_ask ask = { all, (uint32_t)argc + 2, { NULL, 0 } };
	int             status = command_talk(c, "queue", &ask, -1, said);

	memory_free(all);
	return status;
}

int
queue_stream(struct call *c, const char *verb, int argc, const char *const *argv,
             void (*take)(void *ctx, struct bytes lines), void *ctx)
{
	const char    **all = words(verb, argc, argv);
	struct word_ask ask = { all, (uint32_t)argc + 2, { NULL, 0 } };
	int             status = command_stream(c, "queue", &ask, take, ctx);

	memory_free(all);
	return status;
}

bool
queue_row_next(struct bytes *rest, struct queue_row *row)
{
	struct bytes line;
	size_t       n = 0;

	if (!bytes_split(rest, '\n', &line) || line.len == 0)
		return false;
	while (n < ROW_FIELDS && bytes_split(&line, '\t', &row->field[n]))
		n++;
	return n == ROW_FIELDS;
}

struct ordered {
	void (*each)(void *ctx, struct bytes id);
	void   *ctx;
	size_t *letters, *recipients;
};

static void
ordered_take(void *ctx, struct bytes rest)
{
	const struct ordered *o = ctx;
	struct bytes          line, id;
	uint64_t              n;

	while (bytes_split(&rest, '\n', &line))
		if (bytes_split(&line, '\t', &id) && bytes_number(line, &n)) {
			++*o->letters;
			*o->recipients += n;
			if (o->each != NULL)
				o->each(o->ctx, id);
		}
}

int
queue_order(struct call *c, const char *verb, int argc, const char *const *argv,
            void (*each)(void *ctx, struct bytes id), void *ctx, size_t *letters,
            size_t *recipients)
{
	struct ordered o = { each, ctx, letters, recipients };

	*letters = *recipients = 0;
	return queue_stream(c, verb, argc, argv, ordered_take, &o);
}

void
json_string(struct bytes text)
{
	(void)putchar('"');
	while (text.len > 0) {
		uint32_t rune;
		size_t   n = bytes_utf8(text, &rune);

		if (n == 0)
			(void)fputs("\\uFFFD", stdout); /* rfc8259:8.1: it is UTF-8 */
		else if (rune == '"' || rune == '\\')
			(void)printf("\\%c", (int)rune);
		else if (rune < ' ' || (rune >= 0x7f && rune < 0xa0) || rune == 0x2028 ||
		         rune == 0x2029)
			(void)printf("\\u%04X", (unsigned)rune);
		else
			(void)fwrite(text.at, 1, n, stdout);
		text = bytes_cut(text, n > 0 ? n : 1, SIZE_MAX);
	}
	(void)putchar('"');
}

/* postqueue(1), "JSON OBJECT FORMAT" */
static void
print_object(const struct queue_row *first, struct bytes *rest)
{
	struct queue_row row = *first;
	struct bytes     after = *rest;
	const char      *between = "";

	(void)fputs("{\"queue_name\": ", stdout);
	json_string(first->field[ROW_LETTER_STATE]);
	(void)fputs(", \"queue_id\": ", stdout);
	json_string(first->field[ROW_ID]);
	(void)printf(", \"arrival_time\": %.*s, \"message_size\": %.*s, \"forced_expire\": false, "
	             "\"sender\": ",
	             (int)first->field[ROW_ARRIVED].len, first->field[ROW_ARRIVED].at,
	             (int)first->field[ROW_SIZE].len, first->field[ROW_SIZE].at);
	json_string(first->field[ROW_SENDER].len > 0 ? first->field[ROW_SENDER]
	                                             : BYTES("MAILER-DAEMON"));
	(void)fputs(", \"recipients\": [", stdout);
	do {
		*rest = after;
		(void)printf("%s{\"address\": ", between);
		json_string(row.field[ROW_ADDRESS]);
		if (row.field[ROW_REASON].len > 0) {
			(void)fputs(", \"delay_reason\": ", stdout);
			json_string(row.field[ROW_REASON]);
		}
		(void)putchar('}');
		between = ", ";
	} while (queue_row_next(&after, &row) &&
	         bytes_equal(row.field[ROW_ID], first->field[ROW_ID]));
	(void)fputs("]}\n", stdout);
}

static void
print_head(const struct queue_row *row)
{
	const struct bytes *f = row->field;
	struct bytes        sender = f[ROW_SENDER].len > 0 ? f[ROW_SENDER] : BYTES("MAILER-DAEMON");
	const char         *mark = bytes_is(f[ROW_LETTER_STATE], "active") ? "*"
	                           : bytes_is(f[ROW_LETTER_STATE], "hold") ? "!"
	                                                                   : "";
	uint64_t            arrived = 0;
	time_t              at;
	struct tm           tm;
	char                when[40] = "", id[40];

	(void)bytes_number(f[ROW_ARRIVED], &arrived);
	at = (time_t)arrived;
	if (localtime_r(&at, &tm) != NULL &&
	    strftime(when, sizeof when, "%a %b %e %H:%M:%S ", &tm) == 0)
		when[0] = '\0';
	(void)snprintf(id, sizeof id, "%.*s%s", (int)f[ROW_ID].len, f[ROW_ID].at, mark);
	(void)printf("%-11s %7.*s %20.20s %.*s\n", id, (int)f[ROW_SIZE].len, f[ROW_SIZE].at, when,
	             (int)sender.len, sender.at);
}

/* As showq of Postfix: of recipients with one reason it is told once. */
static void
print_letter(const struct queue_row *first, struct bytes *rest)
{
	struct queue_row row = *first;
	struct bytes     after = *rest, told = { NULL, 0 };

	print_head(first);
	do {
		struct bytes why = row.field[ROW_REASON];
		*rest = after;
		if (why.len > 0 && !bytes_equal(why, told))
			(void)printf("%*s%.*s)\n", why.len < 76 ? (int)(76 - why.len + 1) : 1, "(",
			             (int)why.len, why.at);
		if (why.len > 0)
			told = why;
		(void)printf("%-11s %7s %-20s %.*s\n", "", "", "", (int)row.field[ROW_ADDRESS].len,
		             row.field[ROW_ADDRESS].at);
	} while (queue_row_next(&after, &row) &&
	         bytes_equal(row.field[ROW_ID], first->field[ROW_ID]));
	(void)putchar('\n');
}

/* A letter's rows, until all of them are here. */
struct printing {
	bool          json;
	struct buffer held;
	size_t        letters;
	uint64_t      bytes;
};

static void
print_held(struct printing *p)
{
	struct bytes     rest = buffer_bytes(&p->held);
	struct queue_row row;
	uint64_t         size;

	if (!queue_row_next(&rest, &row))
		return;
	if (p->letters++ == 0 && !p->json)
		(void)printf("%-11s %7s %-20s %s\n", "-Queue ID-", "--Size--",
		             "----Arrival Time----", "-Sender/Recipient-------");
	if (bytes_number(row.field[ROW_SIZE], &size))
		p->bytes += size;
	if (p->json)
		print_object(&row, &rest);
	else
		print_letter(&row, &rest);
	buffer_reset(&p->held);
}

static void
print_take(void *ctx, struct bytes rest)
{
	struct printing *p = ctx;
	struct bytes     line, id, held, of;

	while (bytes_split(&rest, '\n', &line)) {
		struct bytes whole = line;

		if (whole.len == 0)
			continue; /* a letter's rows may come in pieces */
		held = buffer_bytes(&p->held);
		if (bytes_split(&line, '\t', &id) && bytes_split(&held, '\t', &of) &&
		    !bytes_equal(id, of))
			print_held(p);
		buffer_add(&p->held, whole);
		buffer_add_char(&p->held, '\n');
	}
}

int
queue_print(struct call *c, int argc, const char *const *argv, bool json)
{
	struct printing p = { .json = json };
	int             status = queue_stream(c, "rows", argc, argv, print_take, &p);

	print_held(&p);
	if (!json && status == COMMAND_DONE && p.letters == 0)
		(void)puts("Mail queue is empty");
	if (!json && p.letters > 0)
		(void)printf("-- %llu Kbytes in %zu Request%s.\n",
		             (unsigned long long)(p.bytes / 1024), p.letters,
		             p.letters == 1 ? "" : "s");
	buffer_free(&p.held);
	return status;
}

int
queue_content(struct call *c, const char *id)
{
	const char     *argv[] = { "queue", "content", id };
	struct word_ask ask = { argv, COUNT(argv), { NULL, 0 } };
	int             fd = memfd_create("letter", MFD_CLOEXEC);

	if (fd >= 0 && command_talk(c, "queue", &ask, fd, NULL) == COMMAND_DONE)
		return fd;
	if (fd < 0)
		(void)fputs("mansio: no memory for a letter\n", stderr);
	else
		(void)close(fd);
	return -1;
}
