#include <stdio.h>
#include <string.h>
#include <time.h>

#include "command/dns.h"
#include "command/output.h"
#include "message/domain.h"

static const char *const must_names[] = {
	[RECORD_MUST] = "must",
	[RECORD_SHOULD] = "should",
	[RECORD_MAY] = "may",
};
static const char *const zone_names[] = {
	[ZONE_HERE] = "this",
	[ZONE_OF_HOST] = "of the host",
	[ZONE_OF_ADDRESS] = "of the address",
};

const char *
record_line(struct facts *f, const struct record *r)
{
	struct buffer text = { 0 };
	const char   *kept;

	buffer_printf(&text, "%.*s. %u IN %s ", (int)r->name.len, r->name.at, r->ttl,
	              record_type_name(r->type));
	record_value(r, &text);
	kept = arena_copy(f->life, buffer_bytes(&text));
	buffer_free(&text);
	return kept;
}

static void
print_notes(const struct facts *f, const char *before, FILE *to)
{
	struct bytes rest = buffer_bytes(&f->notes), line;

	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0)
			(void)fprintf(to, "%s%.*s\n", before, (int)line.len, line.at);
	if (f->relayhost[0] != '\0')
		(void)fprintf(
			to,
			"%sLetters leave through relayhost = %s: its owner says what SPF must "
			"include besides.\n",
			before, f->relayhost);
}

static void
print_policy(const struct facts *f, const char *before)
{
	struct buffer text = { 0 };
	struct bytes  rest, line;

	policy_text(f, &text);
	rest = buffer_bytes(&text);
	(void)printf("%shttps://mta-sts.%s/.well-known/mta-sts.txt must say (mode: enforce once "
	             "the reports are good):\n",
	             before, f->domain);
	while (bytes_split(&rest, '\n', &line))
		if (bytes_trim(line).len > 0)
			(void)printf("%s    %.*s\n", before, (int)bytes_trim(line).len, line.at);
	buffer_free(&text);
}

/* As many blanks as it takes, and one at least. */
static void
print_padded(const char *text, int width)
{
	(void)printf("%-*s ", width, text);
}

static int
widest_name(const struct records *all)
{
	size_t most = 0;

	for (size_t i = 0; i < all->count; i++)
		if (all->one[i].zone == ZONE_HERE && all->one[i].name.len + 1 > most)
			most = all->one[i].name.len + 1;
	return (int)most;
}

static void
print_record(struct facts *f, const struct record *r, int width)
{
	struct buffer value = { 0 };
	const char   *name = arena_printf(f->life, "%.*s.", (int)r->name.len, r->name.at);

	record_value(r, &value);
	if (r->zone != ZONE_HERE)
		(void)printf("; not in this zone, but in that %s:\n; ", zone_names[r->zone]);
	print_padded(name, r->zone == ZONE_HERE ? width : 0);
	(void)printf("%u IN %-4s %.*s\n", r->ttl, record_type_name(r->type), (int)value.len,
	             value.at);
	buffer_free(&value);
}

/* rfc1035:5  A zone nobody has yet needs its head; where there is one, these lines stay out. */
static void
print_head(struct facts *f, int width)
{
	time_t    now = time(NULL);
	struct tm day;
	char      serial[16] = "1";
	bool      inside = name_within(bytes_of(f->host), bytes_of(f->domain)) && f->addresses > 0;

	if (gmtime_r(&now, &day) != NULL)
		(void)strftime(serial, sizeof serial, "%Y%m%d00", &day);
	(void)printf(
		"$ORIGIN %s.\n$TTL %d\n\n"
		"; The head of a new zone; leave these two out of one that you have. NS names your name servers.\n",
		f->domain, RECORD_TTL);
	print_padded(arena_printf(f->life, "%s.", f->domain), width);
	(void)printf("%d IN SOA  %s%s. postmaster.%s. %s 7200 3600 1209600 %d\n", RECORD_TTL,
	             inside ? "" : "ns1.", inside ? f->host : "example.net", f->domain, serial,
	             RECORD_TTL);
	print_padded(arena_printf(f->life, "%s.", f->domain), width);
	(void)printf("%d IN NS   %s%s.\n", RECORD_TTL, inside ? "" : "ns1.",
	             inside ? f->host : "example.net");
}

static void
print_zone(struct facts *f, const struct records *all, bool head)
{
	int         width = widest_name(all);
	const char *why = "";

	(void)printf("; What mail for %s needs, with Mansio at %s.\n", f->domain, f->host);
	if (strcmp(f->shown, f->domain) != 0)
		(void)printf("; %s is how people write %s.\n", f->shown, f->domain);
	print_notes(f, "; ", stdout);
	(void)printf("; DKIM is not here: letters are not signed by this version.\n");
	if (head)
		print_head(f, width);
	for (size_t i = 0; i < all->count; i++) {
		const struct record *r = &all->one[i];

		if (strcmp(why, r->why) != 0)
			(void)printf("\n; %s\n", r->why);
		if (strcmp(why, r->why) != 0 && r->type == DNS_TXT && r->must == RECORD_MAY)
			print_policy(f, "; ");
		why = r->why;
		print_record(f, r, width);
	}
}

/* rfc2136, in the words of nsupdate: what stands under these names and types gives way. */
static void
print_update(struct facts *f, const struct records *all)
{
	print_notes(f, "; ", stdout);
	(void)printf(
		"; Texts that are there stay: an SPF record of before is yours to take away.\n");
	(void)printf("zone %s.\n", f->domain);
	for (size_t i = 0; i < all->count; i++) {
		const struct record *r = &all->one[i];
		bool                 first = true;

		for (size_t k = 0; k < i; k++)
			first = first && !(all->one[k].type == r->type &&
			                   bytes_equal(all->one[k].name, r->name));
		/* Other texts of the domain are not ours to delete. */
		if (r->zone == ZONE_HERE && first && r->type != DNS_TXT)
			(void)printf("update delete %.*s. %s\n", (int)r->name.len, r->name.at,
			             record_type_name(r->type));
		if (r->zone == ZONE_HERE)
			(void)printf("update add %s\n", record_line(f, r));
	}
	(void)printf("send\n");
}

/* Below the domain alone, as consoles ask for it; "@" is the domain itself. */
static struct bytes
relative(const struct facts *f, const struct record *r)
{
	struct bytes zone = bytes_of(f->domain);

	if (bytes_equal(r->name, zone))
		return BYTES("@");
	return bytes_cut(r->name, 0, r->name.len - zone.len - 1);
}

/* Without what has a field of its own, without the dot at the end; a short text without quotes. */
static void
cloud_value(const struct record *r, struct buffer *out)
{
	if (r->type == DNS_SRV)
		buffer_printf(out, "%u %u %u ", r->priority, r->weight, r->port);
	if (r->target.len > 0)
		buffer_add(out, r->target);
	else if (r->type == DNS_TXT && r->data.len <= 255)
		buffer_add(out, r->data);
	else
		record_data_text(r->type, r->data, out);
}

static void
print_number(struct output *o, bool there, unsigned n)
{
	if (there)
		output_text(o, "%u", n);
	else
		output_value(o, BYTES(""));
}

static void
print_rows(struct facts *f, const struct records *all, enum dns_form form)
{
	static const char *const table[] = {
		"name", "reads", "type", "value", "ttl", "need", "zone"
	};
	static const char *const cloud[] = { "name", "type", "value", "priority", "ttl" };
	static const char *const json[] = { "name", "type", "value", "priority", "weight",
		                            "port", "ttl",  "need",  "zone",     "why" };
	bool reads = domain_is_encoded(bytes_of(f->domain)) || domain_is_encoded(bytes_of(f->host));
	const char    *plain[] = { "name", "type", "value", "ttl", "need", "zone" };
	struct output *o = form == DNS_CLOUD  ? output_open(OUTPUT_TABLE, cloud, COUNT(cloud))
	                   : form == DNS_JSON ? output_open(OUTPUT_JSON, json, COUNT(json))
	                   : reads            ? output_open(OUTPUT_TABLE, table, COUNT(table))
	                                      : output_open(OUTPUT_TABLE, plain, COUNT(plain));

	for (size_t i = 0; i < all->count; i++) {
		const struct record *r = &all->one[i];
		bool                 mx = r->type == DNS_MX, srv = r->type == DNS_SRV;
		struct buffer        value = { 0 };

		if (form == DNS_CLOUD && r->zone != ZONE_HERE)
			continue;
		if (form == DNS_TABLE)
			record_value(r, &value);
		else
			cloud_value(r, &value);
		output_value(o, form == DNS_CLOUD ? relative(f, r) : r->name);
		if (form == DNS_TABLE && reads)
			output_value(o, domain_is_encoded(r->name)
			                        ? domain_unicode(r->name, f->life)
			                        : BYTES(""));
		output_text(o, "%s", record_type_name(r->type));
		output_value(o, buffer_bytes(&value));
		if (form != DNS_TABLE)
			print_number(o, mx || (srv && form == DNS_JSON), r->priority);
		if (form == DNS_JSON) {
			print_number(o, srv, r->weight);
			print_number(o, srv, r->port);
		}
		output_text(o, "%u", r->ttl);
		if (form != DNS_CLOUD) {
			output_text(o, "%s", must_names[r->must]);
			output_text(o, "%s", zone_names[r->zone]);
		}
		if (form == DNS_JSON)
			output_text(o, "%s", r->why);
		buffer_free(&value);
	}
	output_close(&o);
	if (form != DNS_JSON) {
		(void)putchar('\n');
		for (size_t i = 0; i < all->count && form == DNS_CLOUD; i++)
			if (all->one[i].zone != ZONE_HERE)
				(void)printf("in the zone %s: %s\n", zone_names[all->one[i].zone],
				             record_line(f, &all->one[i]));
		print_policy(f, "");
	}
	print_notes(f, form == DNS_JSON ? "mansio: " : "", form == DNS_JSON ? stderr : stdout);
}

void
dns_print(struct facts *f, const struct records *all, enum dns_form form)
{
	if (form == DNS_ZONE || form == DNS_LINES)
		print_zone(f, all, form == DNS_ZONE);
	else if (form == DNS_UPDATE)
		print_update(f, all);
	else
		print_rows(f, all, form);
}
