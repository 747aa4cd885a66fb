/* rule-helo.c -- names of hosts, and what HELO told */
#include "policy/rule.h"

#include <arpa/inet.h>
#include <string.h>

#include "dns/hostname.h"

bool
rule_hostname(struct bytes name, bool dotted)
{
	if (name.len > 1 && name.at[name.len - 1] == '.')
		name.len--;
	return hostname_valid(name) && (!dotted || bytes_find(name, '.') >= 0);
}

bool
rule_host_address(struct bytes text)
{
	char          copy[64];
	unsigned char raw[16];

	return bytes_string(text, copy, sizeof copy) &&
	       (inet_pton(AF_INET, copy, raw) == 1 || inet_pton(AF_INET6, copy, raw) == 1);
}

/* rfc5321:4.1.3 */
bool
rule_literal(struct bytes text)
{
	if (text.len > 2 && text.at[0] == '[' && text.at[text.len - 1] == ']')
		text = bytes_cut(text, 1, text.len - 2);
	if (bytes_starts_nocase(text, BYTES("IPv6:")))
		return bytes_find(text = bytes_cut(text, 5, text.len), ':') >= 0 &&
		       rule_host_address(text);
	return bytes_find(text, ':') < 0 && rule_host_address(text);
}

static bool
is_bracketed(struct bytes name)
{
	return name.len > 0 && name.at[0] == '[';
}

static enum rule_result
refuse(struct rule_work *w, int64_t code, const char *status, const char *text)
{
	return rule_reject_of(w, (int)code, status, w->facts->helo, rule_class_helo, text);
}

static enum rule_result
look_at_literal(struct rule_work *w)
{
	if (rule_literal(w->facts->helo))
		return RULE_DUNNO;
	return refuse(w, w->set->invalid_name, "5.5.2", "invalid ip address");
}

static enum rule_result
reject_invalid(struct rule_work *w, const struct rule_step *s)
{
	struct bytes helo = w->facts->helo;

	(void)s;
	if (!w->facts->helo_said)
		return RULE_DUNNO;
	if (is_bracketed(helo))
		return look_at_literal(w);
	if (rule_hostname(helo, false) || rule_host_address(helo))
		return RULE_DUNNO;
	return refuse(w, w->set->invalid_name, "5.5.2", "Invalid name");
}

static enum rule_result
reject_short(struct rule_work *w, const struct rule_step *s)
{
	struct bytes helo = w->facts->helo;

	(void)s;
	if (!w->facts->helo_said)
		return RULE_DUNNO;
	if (is_bracketed(helo))
		return look_at_literal(w);
	if (rule_hostname(helo, true))
		return RULE_DUNNO;
	return refuse(w, w->set->non_fqdn, "5.5.2", "need fully-qualified hostname");
}

/* "HELO 192.0.2.1".  Whoever says so may be anybody: it permits nobody to relay. */
static enum rule_result
permit_naked_address(struct rule_work *w, const struct rule_step *s)
{
	struct bytes helo = w->facts->helo;

	for (size_t i = 0; i < helo.len; i++)
		if (memchr("0123456789.:", helo.at[i], 12) == NULL)
			return RULE_DUNNO;
	if (!w->facts->helo_said || helo.len == 0)
		return RULE_DUNNO;
	if (!rule_host_address(helo))
		return refuse(w, w->set->invalid_name, "5.5.2", "invalid ip address");
	if (rule_would_relay(w)) {
		rule_tell(w, "%s: does not permit to relay", s->name);
		return RULE_DUNNO;
	}
	return rule_permit(w, "its hello is an address");
}

/* clang-format off */
static const struct rule rows[] = {
	{ .name = "reject_invalid_helo_hostname",  .run = reject_invalid },
	{ .name = "reject_invalid_hostname",       .run = reject_invalid },
	{ .name = "reject_non_fqdn_helo_hostname", .run = reject_short },
	{ .name = "reject_non_fqdn_hostname",      .run = reject_short },
	{ .name = "permit_naked_ip_address",       .run = permit_naked_address,
	  .doubt = "anybody can say an address in HELO; write permit_mynetworks or permit_sasl_authenticated" },
};
/* clang-format on */
const struct rule_rows rule_rows_helo = { rows, COUNT(rows) };
