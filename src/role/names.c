#include "role/names.h"

enum { SERVERS_MOST = 8, ANCHORS_MOST = 32 };

/* The lines of the resource, each a word and its value. */
struct resolver *
house_resolver(struct house *h)
{
	struct bytes             rest = bytes_of(house_resource_text(h, "resolver")), line;
	struct bytes             server[SERVERS_MOST], anchor[ANCHORS_MOST];
	struct resolver         *r;
	struct buffer            errors = { 0 };
	struct resolver_settings set = { .server = server,
		                         .anchor = anchor,
		                         .strict = h->common.dns_validation == VALIDATE_YES,
		                         .timeout = h->common.dns_timeout };

	while (bytes_split(&rest, '\n', &line)) {
		if (bytes_starts(line, BYTES("server ")) && set.servers < SERVERS_MOST)
			server[set.servers++] = bytes_cut(line, 7, line.len);
		if (bytes_starts(line, BYTES("anchor ")) && set.anchors < ANCHORS_MOST)
			anchor[set.anchors++] = bytes_cut(line, 7, line.len);
	}
	if (set.servers == 0)
		return NULL;
	r = resolver_open(h->loop, &set, &errors);
	if (r == NULL)
		warn_("no name is looked up: %.*s", (int)errors.len, errors.at);
	buffer_free(&errors);
	return r;
}
