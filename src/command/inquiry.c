#include "command/inquiry.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "channel/loop.h"
#include "command/command.h"

enum { SERVERS_MOST = 3, ANCHORS_MOST = 16, PATIENCE_MS = 5000 };

struct asked {
	struct asked *next;
	struct bytes  name;
	uint16_t      type;
	struct answer answer;
};

struct inquiry {
	struct arena    *life;
	struct loop     *loop;
	struct resolver *resolver;
	struct asked    *first;
	struct asked    *now; /* whose answer is awaited */
	size_t           count;
	int64_t          until;
};

/* What follows a word at the beginning of lines of a file; of an empty word: lines with keys. */
static size_t
words_of(const char *path, const char *word, struct arena *a, struct bytes *out, size_t most)
{
	struct buffer text = { 0 };
	struct bytes  rest, line;
	size_t        n = 0;

	if (access(path, R_OK) == 0)
		(void)command_read(path, &text);
	rest = buffer_bytes(&text);
	while (n < most && bytes_split(&rest, '\n', &line)) {
		line = bytes_cut(line, 0, (size_t)bytes_find(line, ';'));
		if (*word == '\0' ? bytes_search_nocase(line, BYTES("DS")) > 0 ||
		                            bytes_search_nocase(line, BYTES("DNSKEY")) > 0
		                  : bytes_starts(line, bytes_of(word)))
			out[n++] =
				arena_keep(a, bytes_trim(bytes_cut(line, strlen(word), line.len)));
	}
	buffer_free(&text);
	return n;
}

struct inquiry *
inquiry_open(const struct common_settings *common, struct buffer *errors)
{
	struct inquiry          *q = memory_take(sizeof *q);
	struct bytes             server[SERVERS_MOST], anchor[ANCHORS_MOST];
	struct resolver_settings set = { .server = server,
		                         .anchor = anchor,
		                         .timeout = PATIENCE_MS };

	q->life = arena_open(NULL);
	q->loop = loop_open();
	q->until = loop_now_ms(q->loop) + INQUIRY_MS;
	if (common->dns_resolver[0] == '\0')
		set.servers =
			words_of("/etc/resolv.conf", "nameserver", q->life, server, SERVERS_MOST);
	else
		server[set.servers++] = bytes_of(common->dns_resolver);
	if (common->dns_validation != VALIDATE_NO)
		set.anchors =
			words_of(common->dns_trust_anchor_file, "", q->life, anchor, ANCHORS_MOST);
	if (strcmp(common->dns_resolver, "none") == 0)
		buffer_add_string(errors, "dns_resolver = none: nobody is asked for names");
	else if (set.servers == 0)
		buffer_add_string(errors, "/etc/resolv.conf names no server to ask");
	else
		q->resolver = resolver_open(q->loop, &set, errors);
	if (q->resolver == NULL)
		inquiry_close(&q);
	return q;
}

static int
by_data(const void *a, const void *b)
{
	return bytes_compare(((const struct answer_record *)a)->data,
	                     ((const struct answer_record *)b)->data);
}

/* All of it, into the life of the inquiry; in an order of its own, since name servers give the same records in another order each time. */
static void
answered(void *ctx, const struct answer *a)
{
	struct inquiry       *q = ctx;
	struct answer_record *record = arena_take_array(q->life, a->records + 1, sizeof *record);

	for (size_t i = 0; i < a->records; i++) {
		record[i] = a->record[i];
		record[i].data = arena_keep(q->life, a->record[i].data);
		record[i].name = arena_keep(q->life, a->record[i].name);
	}
	qsort(record, a->records, sizeof *record, by_data);
	q->now->answer = *a;
	q->now->answer.record = record;
	q->now->answer.name = arena_keep(q->life, a->name);
	q->now->answer.why = arena_copy(q->life, bytes_of(a->why));
	q->now = NULL;
	loop_stop(q->loop);
}

const struct answer *
inquiry_ask(struct inquiry *q, struct bytes name, uint16_t type)
{
	struct lookup lookup = { .answered = answered, .ctx = q };
	struct asked *a;

	for (a = q->first; a != NULL; a = a->next)
		if (a->type == type && bytes_equal_nocase(a->name, name))
			return &a->answer;
	a = arena_take(q->life, sizeof *a);
	a->name = arena_keep(q->life, name);
	a->type = type;
	a->next = q->first;
	a->answer = (struct answer){ .status = ANSWER_LATER,
		                     .name = a->name,
		                     .why = "too many questions" };
	q->first = a;
	if (q->count++ >= INQUIRY_MOST || loop_now_ms(q->loop) > q->until)
		return &a->answer;
	q->now = a;
	resolver_ask(q->resolver, &lookup, a->name, type);
	loop_run(q->loop);
	lookup_clear(&lookup);
	return &a->answer;
}

const struct answer *
inquiry_name(struct inquiry *q, const struct peer *peer)
{
	char name[REVERSE_ROOM] = "";

	(void)hostname_reverse(peer, name);
	return inquiry_ask(q, bytes_of(name), DNS_PTR);
}

void
inquiry_close(struct inquiry **qp)
{
	struct inquiry *q = *qp;

	*qp = NULL;
	if (q == NULL)
		return;
	resolver_close(&q->resolver);
	loop_close(&q->loop);
	arena_close(&q->life);
	memory_free(q);
}
