#include "store/envelope-list.h"

#include <string.h>

#include "base/scan.h"

/* nstring = string / nil */
static struct bytes
take_nstring(struct scan *r, struct arena *arena)
{
	struct bytes body;
	char        *out;
	size_t       i = 1, n = 0;

	if (scan_skip(r, '{')) {
		uint64_t size = scan_number(r, UINT32_MAX);
		scan_expect(r, "}\r\n");
		return scan_take(r, size);
	}
	if (!scan_next_is(r, '"')) {
		scan_expect(r, "NIL");
		return (struct bytes){ 0 };
	}
	body = r->rest;
	while (i < body.len && body.at[i] != '"')
		i += body.at[i] == '\\' ? 2 : 1;
	body = bytes_cut(scan_take(r, i + 1), 1, i - 1);
	if (!scan_ok(r) || bytes_find(body, '\\') < 0)
		return body;
	out = arena_take(arena, body.len);
	for (i = 0; i < body.len; i++) {
		if (body.at[i] == '\\')
			i++;
		out[n++] = body.at[i];
	}
	return (struct bytes){ out, n };
}

/* address = "(" addr-name SP addr-adl SP addr-mailbox SP addr-host ")" */
static struct envelope_address
take_address(struct scan *r, struct arena *arena)
{
	struct envelope_address a;

	scan_expect(r, "(");
	a.name = take_nstring(r, arena);
	scan_expect(r, " ");
	(void)take_nstring(r, arena);
	scan_expect(r, " ");
	a.mailbox = take_nstring(r, arena);
	scan_expect(r, " ");
	a.host = take_nstring(r, arena);
	scan_expect(r, ")");
	return a;
}

/* env-from = "(" 1*address ")" / nil and its sisters: the first of them. */
static struct envelope_address
take_list(struct scan *r, struct arena *arena)
{
	struct envelope_address first = { 0 };

	if (!scan_skip(r, '(')) {
		scan_expect(r, "NIL");
		return first;
	}
	first = take_address(r, arena);
	while (scan_ok(r) && scan_next_is(r, '('))
		(void)take_address(r, arena);
	scan_expect(r, ")");
	return first;
}

void
envelope_first_addresses(struct bytes envelope, struct arena *arena,
                         struct envelope_address out[static ENVELOPE_LISTS])
{
	struct scan r = scan_of(envelope);

	memset(out, 0, ENVELOPE_LISTS * sizeof *out);
	scan_expect(&r, "(");
	(void)take_nstring(&r, arena); /* date */
	scan_expect(&r, " ");
	(void)take_nstring(&r, arena); /* subject */
	for (size_t i = 0; i < ENVELOPE_LISTS && scan_ok(&r); i++) {
		scan_expect(&r, " ");
		out[i] = take_list(&r, arena);
		if (!scan_ok(&r))
			out[i] = (struct envelope_address){ 0 };
	}
}
