/* rules.c -- the settings of who gets the mail, and what lists of domains and of words mean */
#include "directory/walk.h"
#include "message/address.h"
#include <string.h>

#define AT(f) offsetof(struct resolve_rules, f)
/* clang-format off */
static const struct setting rows[] = {
	{ "mydestination", SETTING_MATCHES, AT(mydestination), "$myhostname, localhost.$mydomain, localhost", "Domains whose mail is for operating-system users and alias_maps: names, /files with names, tables, !name for all but it.", .since = "0.2" },
	{ "proxy_interfaces", SETTING_LIST, AT(proxy_interfaces), "", "Addresses under which others reach this machine through a translation: user@[address] is local mail.", .since = "0.2" },
	{ "virtual_alias_domains", SETTING_MATCHES, AT(virtual_alias_domains), "$virtual_alias_maps", "Domains all of whose addresses are in virtual_alias_maps.", .since = "0.2" },
	{ "virtual_alias_maps", SETTING_TABLES, AT(virtual_alias_maps), "", "Tables of addresses, of any domain, and where their mail goes instead.", .since = "0.2" },
	{ "virtual_mailbox_domains", SETTING_MATCHES, AT(virtual_mailbox_domains), "$virtual_mailbox_maps", "Domains all of whose mailboxes are in virtual_mailbox_maps; those of the directory need not be named.", .since = "0.2" },
	{ "virtual_mailbox_maps", SETTING_TABLES, AT(virtual_mailbox_maps), "", "Tables of the addresses that have a mailbox in virtual_mailbox_domains.", .since = "0.2" },
	{ "virtual_uid_maps", SETTING_TABLES, AT(virtual_uid_maps), "", "Tables of mailboxes of virtual_mailbox_maps and the uid their files belong to, as static:5000; empty: as mail_uid says. It holds for mailboxes that come after it.", .since = "0.2" },
	{ "virtual_gid_maps", SETTING_TABLES, AT(virtual_gid_maps), "", "Tables of the same mailboxes and their gid; empty: as mail_gid says, or the group of the user.", .since = "0.2" },
	{ "relay_domains", SETTING_MATCHES, AT(relay_domains), "", "Domains, and those below them, whose mail is taken from anybody and passed on.", .since = "0.2" },
	{ "relay_recipient_maps", SETTING_TABLES, AT(relay_recipient_maps), "", "Tables of the addresses there are in relay_domains; all, if empty.", .since = "0.2" },
	{ "alias_maps", SETTING_TABLES, AT(alias_maps), "hash:/etc/aliases", "Tables as aliases(5): names of local mail and where it goes instead.", .choices = "aliases", .since = "0.2" },
	{ "local_recipient_maps", SETTING_TABLES, AT(local_recipient_maps), "$system_user_maps $alias_maps", "Tables of the names there are in local domains; a recipient in none of them is refused. Empty: none is.", .choices = "aliases", .since = "0.2" },
	{ "system_user_maps", SETTING_TABLES, AT(user_maps), "proxy:unix:passwd.byname", "Tables as passwd(5) of the operating-system users who may have mail.", .since = "0.2" },
	{ "luser_relay", SETTING_TEXT, AT(luser_relay), "", "Where mail for local names that do not exist goes: an address, with $user, $extension, $local, $domain and $recipient, ${extension?text} and ${extension:text}.", .since = "0.2" },
	{ "mailbox_transport_maps", SETTING_TABLES, AT(mailbox_transport_maps), "", "Tables of local names and where their mail goes instead of a mailbox, after .forward: error:TEXT, discard:, local:; or, and then .forward is not read, smtp:, relay:, lmtp: with a destination.", .since = "0.2" },
	{ "mailbox_transport", SETTING_TEXT, AT(mailbox_transport), "", "The same for all local names.", .since = "0.2" },
	{ "mailbox_command_maps", SETTING_TABLES, AT(mailbox_command_maps), "", "Tables of operating-system users and the commands that get their mail, before mailbox_command.", .since = "0.2" },
	{ "fallback_transport_maps", SETTING_TABLES, AT(fallback_transport_maps), "", "Tables of local names that are neither in alias_maps nor users, and where their mail goes: error:TEXT, discard:, virtual:, smtp:, relay:, lmtp:.", .since = "0.2" },
	{ "fallback_transport", SETTING_TEXT, AT(fallback_transport), "", "The same for all such names, before luser_relay.", .since = "0.2" },
	{ "default_privs", SETTING_WORD, AT(default_privs), "nobody", "The user as whom commands and files of alias_maps get their mail, when the file they stand in is root's; else its owner is.", .since = "0.2" },
	{ "allow_mail_to_commands", SETTING_LIST, AT(commands_from), "", "Where |command may be a target: alias, forward, include; nowhere, if empty. As Postfix has it by itself: alias, forward.", .since = "0.2" },
	{ "allow_mail_to_files", SETTING_LIST, AT(files_from), "alias, forward", "Where /file may be a target: alias, forward, include.", .since = "0.2" },
	{ "owner_request_special", SETTING_BOOL, AT(owner_special), "yes", "Whether owner-NAME and NAME-request are whole names, whatever recipient_delimiter says.", .since = "0.2" },
	{ "expand_owner_alias", SETTING_BOOL, AT(expand_owner), "no", "Whether what goes through an alias NAME is sent by what owner-NAME stands for, instead of owner-NAME.", .since = "0.2" },
	{ "transport_maps", SETTING_TABLES, AT(transport_maps), "", "Tables of addresses and domains, .domain for what is below it, * for all, and how their mail goes elsewhere: TRANSPORT:DESTINATION, as smtp:[mail.example.com]:587, smtps:[mail.example.com], lmtp:unix:/run/x, error:TEXT, retry:, discard:, hold: (until it is released with mansio queue).", .since = "0.2" },
	{ "default_transport", SETTING_TEXT, AT(default_transport), "smtp", "How mail for domains that are not ours goes, as transport_maps say it.", .since = "0.2" },
	{ "local_transport", SETTING_TEXT, AT(local_transport), "local:$myhostname", "How mail for mydestination goes: local:, to alias_maps, users and their mailboxes; else as transport_maps say it, as lmtp:unix:/run/x, and neither alias_maps nor .forward are read.", .since = "0.2" },
	{ "virtual_transport", SETTING_TEXT, AT(virtual_transport), "virtual", "How mail for virtual_mailbox_domains goes: virtual:, to our own mailboxes; else as transport_maps say it, as lmtp:unix:private/dovecot-lmtp.", .since = "0.2" },
	{ "relay_transport", SETTING_TEXT, AT(relay_transport), "relay", "How mail for relay_domains goes.", .since = "0.2" },
	{ "relayhost", SETTING_TEXT, AT(relayhost), "", "Where mail that is not ours goes instead of its domains' hosts: [mail.example.com]:587; without brackets MX is asked for.", .since = "0.2" },
	{ "sender_dependent_relayhost_maps", SETTING_TABLES, AT(sender_relayhosts), "", "Tables of senders, or @domains of theirs, and what relayhost is for them; DUNNO: none.", .since = "0.2" },
	{ "empty_address_relayhost_maps_lookup_key", SETTING_WORD, AT(nobody_relayhost), "<>", "What sender_dependent_relayhost_maps has for letters of nobody, as notices are.", .since = "0.9" },
	{ "empty_address_default_transport_maps_lookup_key", SETTING_WORD, AT(nobody_transport), "<>", "The same for sender_dependent_default_transport_maps.", .since = "0.9" },
	{ "sender_dependent_default_transport_maps", SETTING_TABLES, AT(sender_transports), "", "The same for default_transport.", .since = "0.2" },
	{ "address_verify_transport_maps", SETTING_TABLES, AT(probing.transport_maps), "$transport_maps", "The tables in the place of transport_maps for who only asks whether there is an address.", .since = "0.7" },
	{ "address_verify_default_transport", SETTING_TEXT, AT(probing.default_transport), "$default_transport", "The same for default_transport.", .since = "0.7" },
	{ "address_verify_local_transport", SETTING_TEXT, AT(probing.local_transport), "$local_transport", "The same for local_transport.", .since = "0.7" },
	{ "address_verify_virtual_transport", SETTING_TEXT, AT(probing.virtual_transport), "$virtual_transport", "The same for virtual_transport.", .since = "0.7" },
	{ "address_verify_relay_transport", SETTING_TEXT, AT(probing.relay_transport), "$relay_transport", "The same for relay_transport.", .since = "0.7" },
	{ "address_verify_relayhost", SETTING_TEXT, AT(probing.relayhost), "$relayhost", "The same for relayhost: empty where relayhost takes whatever it is given, so that the domains' own hosts are asked.", .since = "0.7" },
	{ "address_verify_sender_dependent_relayhost_maps", SETTING_TABLES, AT(probing.sender_relayhosts), "$sender_dependent_relayhost_maps", "The same for sender_dependent_relayhost_maps.", .since = "0.7" },
	{ "address_verify_sender_dependent_default_transport_maps", SETTING_TABLES, AT(probing.sender_transports), "$sender_dependent_default_transport_maps", "The same for sender_dependent_default_transport_maps.", .since = "0.7" },
	{ "maximal_queue_lifetime_maps", SETTING_TABLES, AT(lifetime_maps), "", "Tables of addresses and domains, .domain for what is below it, and TRANSPORT: for all that goes so, and how long their mail is tried before it is returned, instead of maximal_queue_lifetime: 30d.", .since = "0.3" },
	{ "relocated_maps", SETTING_TABLES, AT(relocated_maps), "", "Tables of addresses that have moved, and where to; senders are told.", .since = "0.2" },
	{ "canonical_maps", SETTING_TABLES, AT(canonical_maps), "", "Tables of addresses and what is written instead of them.", .since = "0.2" },
	{ "sender_canonical_maps", SETTING_TABLES, AT(sender_canonical_maps), "", "The same for senders, asked before canonical_maps.", .since = "0.2" },
	{ "recipient_canonical_maps", SETTING_TABLES, AT(recipient_canonical_maps), "", "The same for recipients, asked before canonical_maps.", .since = "0.2" },
	{ "canonical_classes", SETTING_LIST, AT(canonical_classes), "envelope_sender, envelope_recipient, header_sender, header_recipient", "Which addresses canonical_maps are for.", .since = "0.2" },
	{ "sender_canonical_classes", SETTING_LIST, AT(sender_canonical_classes), "envelope_sender, header_sender", "Which addresses sender_canonical_maps are for.", .since = "0.2" },
	{ "recipient_canonical_classes", SETTING_LIST, AT(recipient_canonical_classes), "envelope_recipient, header_recipient", "Which addresses recipient_canonical_maps are for.", .since = "0.2" },
	{ "masquerade_domains", SETTING_LIST, AT(masquerade_domains), "", "Domains that stand for all below them in addresses; !name stays as it is.", .since = "0.2" },
	{ "masquerade_classes", SETTING_LIST, AT(masquerade_classes), "envelope_sender, header_sender, header_recipient", "Which addresses masquerade_domains are for.", .since = "0.2" },
	{ "masquerade_exceptions", SETTING_LIST, AT(masquerade_exceptions), "", "Users whose addresses are not masqueraded.", .since = "0.2" },
	{ "propagate_unmatched_extensions", SETTING_LIST, AT(propagate), "canonical, virtual", "After which rewriting what stood behind recipient_delimiter is put on again: canonical, virtual, alias, include (and alias), forward, generic.", .since = "0.2" },
	{ "parent_domain_matches_subdomains", SETTING_LIST, AT(parent_matches), "relay_domains, smtpd_access_maps", "Lists in which a name means also all below it; in others .name does.", .since = "0.2" },
	{ "always_bcc", SETTING_WORD, AT(always_bcc), "", "An address that gets a copy of every letter.", .since = "0.2" },
	{ "sender_bcc_maps", SETTING_TABLES, AT(sender_bcc_maps), "", "Tables of senders and who gets a copy of their letters.", .since = "0.2" },
	{ "recipient_bcc_maps", SETTING_TABLES, AT(recipient_bcc_maps), "", "Tables of recipients and who gets a copy of letters to them.", .since = "0.2" },
	{ "append_at_myorigin", SETTING_BOOL, AT(append_at_myorigin), "yes", "Whether a bare name is one of myorigin.", .since = "0.2" },
	{ "allow_percent_hack", SETTING_BOOL, AT(percent_hack), "no", "Whether user%domain at a local domain means user@domain.", .since = "0.2" },
	{ "swap_bangpath", SETTING_BOOL, AT(bangpath), "no", "Whether site!user at a local domain means user@site.", .since = "0.2" },
	{ "double_bounce_sender", SETTING_WORD, AT(double_bounce_sender), "double-bounce", "The sender of what must not be answered; mail to it is thrown away.", .since = "0.2" },
	{ "empty_address_recipient", SETTING_WORD, AT(empty_recipient), "MAILER-DAEMON", "Whom mail for the empty address is for.", .since = "0.2" },
	{ "virtual_alias_recursion_limit", SETTING_NUMBER, AT(depth_most), "1000", "How deep aliases may lie one in another.", NULL, 1, 1000, "0.2" },
	{ "virtual_alias_expansion_limit", SETTING_NUMBER, AT(virtuals_most), "1000", "How many addresses virtual_alias_maps may make of one recipient; alias_maps and :include: have no such limit.", NULL, 1, 50000, "0.2" },
	{ "duplicate_filter_limit", SETTING_NUMBER, AT(duplicates), "1000", "Read, and not needed: nobody gets two copies by two aliases, however many there are.", NULL, 0, 0, "0.2" },
};
/* clang-format on */
#undef AT
const struct setting_table resolve_setting_table = { "Who gets the mail", rows, COUNT(rows) };

void
resolve_probing(const struct resolve_rules *rules, struct resolve_rules *out)
{
	const struct resolve_ways *ways = &rules->probing;

	*out = *rules;
	out->transport_maps = ways->transport_maps;
	out->sender_relayhosts = ways->sender_relayhosts;
	out->sender_transports = ways->sender_transports;
	out->default_transport = ways->default_transport;
	out->relay_transport = ways->relay_transport;
	out->relayhost = ways->relayhost;
	out->local_transport = ways->local_transport;
	out->virtual_transport = ways->virtual_transport;
}

/* "hash:/etc/x" and its like; "[2001:db8::1]" is a name. */
static bool
is_table(const char *item)
{
	return item[0] != '[' && strchr(item, ':') != NULL;
}

bool
resolve_lists(const struct setting_list *list, const char *name)
{
	return name[0] != '!' && name[0] != '/' && !is_table(name) && rules_has(list, name);
}

enum directory_outcome
outcome_of(enum table_outcome o)
{
	switch (o) {
	case TABLE_FOUND: return DIRECTORY_OK;
	case TABLE_NONE: return DIRECTORY_NONE;
	case TABLE_WAIT: return DIRECTORY_WAIT;
	case TABLE_LATER: break;
	}
	return DIRECTORY_LATER;
}

bool
rules_has(const struct setting_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++)
		if (bytes_is(bytes_of(list->item[i]), word))
			return true;
	return false;
}

static bool
name_matches(struct bytes name, struct bytes domain, bool parents)
{
	size_t cut;

	if (bytes_equal_nocase(name, domain))
		return true;
	if (name.len == 0 || domain.len <= name.len || !bytes_ends_nocase(domain, name))
		return false;
	cut = domain.len - name.len;
	return parents ? domain.at[cut - 1] == '.' && name.at[0] != '.' : name.at[0] == '.';
}

/* The first item that matches tells, "!" in front says no. */
enum table_outcome
rules_domain(struct resolving *r, const char *setting, const struct setting_list *list,
             struct bytes domain, struct bytes *value)
{
	bool parents = rules_has(&r->rules->parent_matches, setting);

	*value = BYTES("");
	for (size_t i = 0; i < list->count; i++) {
		const char         *item = list->item[i];
		bool                no = item[0] == '!';
		struct setting_list one = { &item, 1 };
		enum table_outcome  o;

		item += no;
		if (is_table(item))
			o = lookup_domain(r->lookups, &one, domain, parents, value);
		else
			o = name_matches(lookup_pattern(r->lookups, item), domain, parents)
			            ? TABLE_FOUND
			            : TABLE_NONE;
		if (o != TABLE_NONE)
			return o == TABLE_FOUND && no ? TABLE_NONE : o;
	}
	return TABLE_NONE;
}

static bool
is_ours_to_complete(const struct resolving *r, struct bytes domain, enum mail_class class)
{
	return class == CLASS_LOCAL || bytes_equal_nocase(domain, bytes_of(r->rules->myorigin));
}

struct lookup_key
rules_key(struct resolving *r, const struct directory_key *k, enum mail_class class, unsigned forms)
{
	if (!is_ours_to_complete(r, k->domain, class))
		forms &= ~(unsigned)LOOKUP_LOCAL;
	return (struct lookup_key){ .local = k->local,
		                    .domain = k->domain,
		                    .delimiters = bytes_of(r->rules->delimiter),
		                    .owners_parted = !r->rules->owner_special,
		                    .forms = forms };
}

struct bytes
rules_typed(const struct directory_key *k, struct bytes extension)
{
	return bytes_cut(k->typed, k->typed.len - extension.len, extension.len);
}

struct bytes
rules_complete(struct resolving *r, struct bytes address, struct bytes local,
               struct bytes extension)
{
	ptrdiff_t     at = bytes_find_last(address, '@');
	struct bytes  name = at < 0 ? address : bytes_cut(address, 0, (size_t)at);
	struct bytes  domain = at < 0 ? bytes_of(r->rules->myorigin)
	                              : bytes_cut(address, (size_t)at + 1, SIZE_MAX);
	struct buffer b = { 0 };

	if (at == 0)
		name = local; /* "@elsewhere": the same user there */
	buffer_add(&b, name);
	if (at != 0)
		buffer_add(&b, extension);
	if (at >= 0 || r->rules->append_at_myorigin) {
		buffer_add_char(&b, '@');
		buffer_add(&b, domain);
		if (r->rules->append_dot_mydomain && domain.len > 0 &&
		    bytes_find(domain, '.') < 0 && domain.at[0] != '[') {
			buffer_add_char(&b, '.');
			buffer_add_string(&b, r->rules->mydomain);
		}
	}
	name = arena_keep(r->arena, buffer_bytes(&b));
	buffer_free(&b);
	return name;
}
