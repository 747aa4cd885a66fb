#include "delivery/beenhere.h"

/* A field that is longer has no address of ours. */
enum { FIELD_MOST = 512 };

bool
been_here(struct letters *letters, const struct letter_place *place, const struct digest *d,
          struct bytes address)
{
	static const char name[] = "delivered-to:";
	char              line[FIELD_MOST];

	for (uint32_t i = 0; (d->flags & DIGEST_DELIVERED_TO) != 0 && i < d->fields; i++) {
		struct digest_field f = digest_field_at(d, i);
		struct bytes        field = { line, (size_t)f.len };

		if (f.part == 0 && f.name_len == sizeof name - 2 && f.len <= sizeof line &&
		    letters_read(letters, place, f.at, line, field.len) == 0 &&
		    bytes_starts_nocase(field, bytes_of(name)) &&
		    bytes_equal_nocase(bytes_trim(bytes_cut(field, sizeof name - 1, SIZE_MAX)),
		                       address))
			return true;
	}
	return false;
}

const char *
been_here_text(struct bytes address, struct arena *a)
{
	return arena_printf(a, "mail forwarding loop for %.*s", (int)address.len, address.at);
}
