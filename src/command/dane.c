#include "command/dane.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "channel/loop.h"
#include "dns/resolver.h"

enum { SERVERS_MOST = 3, ANCHORS_MOST = 16, PATIENCE_MS = 5000 };

struct search {
	struct loop    *loop;
	enum dane_found found;
	void (*each)(void *ctx, struct bytes record);
	void *ctx;
};

static void
answered(void *ctx, const struct answer *a)
{
	struct search *s = ctx;

	loop_stop(s->loop);
	if (a->status == ANSWER_LATER)
		return;
	s->found = DANE_NONE;
	if (a->status != ANSWER_FOUND)
		return;
	s->found = a->trust == ANSWER_SECURE ? DANE_SECURE : DANE_UNPROVED;
	for (size_t i = 0; i < a->records; i++)
		s->each(s->ctx, a->record[i].data);
}

/* What follows a word at the beginning of lines of a file. */
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
		if (*word == '\0' ? bytes_search_nocase(line, BYTES(" DS ")) > 0 ||
		                            bytes_search_nocase(line, BYTES("DNSKEY")) > 0
		                  : bytes_starts(line, bytes_of(word)))
			out[n++] =
				arena_keep(a, bytes_trim(bytes_cut(line, strlen(word), line.len)));
	}
	buffer_free(&text);
	return n;
}

enum dane_found
dane_find(struct call *c, const char *host, int port, void (*each)(void *ctx, struct bytes record),
          void *ctx)
{
	struct search          s = { NULL, DANE_UNKNOWN, each, ctx };
	struct arena          *a = arena_open(NULL);
	struct bytes           server[SERVERS_MOST], anchor[ANCHORS_MOST];
	struct common_settings common = { .dns_resolver = "",
		                          .dns_trust_anchor_file = "/usr/share/dns/root.key" };
	struct settings       *settings =
                access(c->config, R_OK) == 0 ? command_settings(c, &common) : NULL;
	struct resolver_settings set = { .server = server,
		                         .anchor = anchor,
		                         .timeout = PATIENCE_MS };
	struct buffer            errors = { 0 };
	struct lookup            lookup = { .answered = answered, .ctx = &s };
	struct resolver         *r;

	if (common.dns_resolver[0] == '\0')
		set.servers = words_of("/etc/resolv.conf", "nameserver", a, server, SERVERS_MOST);
	else
		server[set.servers++] = bytes_of(common.dns_resolver);
	set.anchors = words_of(common.dns_trust_anchor_file, "", a, anchor, ANCHORS_MOST);
	s.loop = loop_open();
	if (strcmp(common.dns_resolver, "none") != 0 && set.servers > 0 &&
	    (r = resolver_open(s.loop, &set, &errors)) != NULL) {
		const char *name = arena_printf(a, "_%d._tcp.%s", port, host);

		resolver_ask(r, &lookup, bytes_of(name), DNS_TLSA);
		loop_run(s.loop);
		lookup_clear(&lookup);
		resolver_close(&r);
	}
	loop_close(&s.loop);
	buffer_free(&errors);
	settings_close(&settings);
	arena_close(&a);
	return s.found;
}
