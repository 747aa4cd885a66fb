#include "role/listeners.h"

#include <stdio.h>
#include <string.h>

#include "channel/listener.h"

struct listener_rows {
	struct setting_list listeners;
	int                 service; /* of listener_names, plus one; 0: nothing is said */
	struct setting_list addresses;
	const char         *mode, *owner, *group;
};

#define AT(field) offsetof(struct listener_rows, field)

/* clang-format off */
static const struct setting rows[] = {
	{ "listeners", SETTING_LIST, AT(listeners), "",
	  "Names of listeners besides smtp, submission and the rest, as reinject; each is given its own listener_service and "
	  "listener_address (reinject/listener_service = smtp), and any other setting it is to have for itself. What programs of this machine send with sendmail comes in by pickup, which is always there: it listens on run/pickup.sock in mail_directory, is asked who connects (authorized_submit_users), and trusts whom it lets in.", NULL, 0, 0, "0.2" },
	{ "listener_service", SETTING_CHOICE, AT(service), "",
	  "What one of listeners speaks: it behaves as the listener of that name does, with settings of its own.",
	  ",smtp,submission,submissions,lmtp,imap,imaps,pop3,pop3s", 0, 0, "0.2" },
	{ "listener_address", SETTING_LIST, AT(addresses), "",
	  "Where one of listeners listens: addresses as 127.0.0.1:10026, [::1]:10026 or unix:/path.", NULL, 0, 0, "0.2" },
	{ "listener_mode", SETTING_WORD, AT(mode), "0666",
	  "Who may connect to a listener's unix sockets: their mode, in octal, as lmtp/listener_mode = 0600.", NULL, 0, 0, "0.4" },
	{ "listener_owner", SETTING_WORD, AT(owner), "",
	  "Whose a listener's unix sockets are, as lmtp/listener_owner = postfix; root's if empty.", NULL, 0, 0, "0.4" },
	{ "listener_group", SETTING_WORD, AT(group), "",
	  "The group of a listener's unix sockets; that of listener_owner if empty.", NULL, 0, 0, "0.4" },
};
/* clang-format on */

const struct setting_table listener_setting_table = { "Listeners", rows, COUNT(rows) };

void
listeners_read(struct settings *s, struct listeners *out)
{
	struct listener_rows r, own;

	out->count = 0;
	for (int i = 0; i < LISTEN_SERVICES; i++)
		out->one[out->count++] =
			(struct listener_entry){ listener_names[i], (enum listener_service)i };
	if (!settings_fill(s, &listener_setting_table, NULL, &r, NULL))
		r.listeners.count = 0;
	for (size_t i = 0; i < r.listeners.count && out->count < LISTENERS_MOST - 1; i++) {
		const char *name = r.listeners.item[i];

		if (listener_place(out, bytes_of(name)) == out->count &&
		    settings_fill(s, &listener_setting_table, name, &own, NULL) && own.service > 0)
			out->one[out->count++] =
				(struct listener_entry){ name,
				                         (enum listener_service)(own.service - 1) };
	}
	if (listener_place(out, BYTES("pickup")) == out->count)
		out->one[out->count++] = (struct listener_entry){ "pickup", LISTEN_SMTP };
}

size_t
listener_place(const struct listeners *all, struct bytes name)
{
	for (size_t i = 0; i < all->count; i++)
		if (bytes_is(name, all->one[i].name))
			return i;
	return all->count;
}

bool
listener_addresses(struct settings *s, const char *name, struct setting_list *out)
{
	struct listener_rows own;

	if (!settings_fill(s, &listener_setting_table, name, &own, NULL))
		return false;
	*out = own.addresses;
	return true;
}

bool
listener_rights(struct settings *s, const char *name, struct socket_rights *out)
{
	struct listener_rows own;

	return settings_fill(s, &listener_setting_table, name, &own, NULL) &&
	       socket_rights_read(own.mode, own.owner, own.group, out);
}

/* It becomes part of names of settings and of lines of the log. */
static bool
is_name(const char *name)
{
	size_t n = strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.");

	return n > 0 && n <= LISTENER_NAME_MOST && name[n] == '\0';
}

static const char *
wrong_of(struct settings *s, const char *name, const char **setting, struct buffer *errors)
{
	struct listener_rows own;

	*setting = "listeners";
	for (int i = 0; i < LISTEN_SERVICES; i++)
		if (strcmp(name, listener_names[i]) == 0)
			return "is there already: listen_smtp and its kin say where";
	if (!is_name(name))
		return "is no name: write at most 15 small letters, digits, dots and hyphens";
	if (!settings_fill(s, &listener_setting_table, name, &own, errors))
		return "has settings that are wrong";
	*setting = "listener_service";
	if (own.service == 0)
		return "speaks nothing: write smtp, submission, submissions, lmtp, imap, imaps, "
		       "pop3 or pop3s";
	*setting = "listener_address";
	if (own.addresses.count == 0)
		return "listens nowhere: write an address and a port, as 127.0.0.1:10026";
	for (size_t i = 0; i < own.addresses.count; i++)
		if (!listener_address(own.addresses.item[i]))
			return "is to listen where nobody can: write an address and a port, as "
			       "127.0.0.1:10026, [::1]:10026 or *:10026, or unix:/path";
	return NULL;
}

static bool
rights_check(struct settings *s, const char                                          *listener,
             void (*complain)(void *ctx, const char *setting, const char *why), void *ctx)
{
	struct socket_rights rights;
	char                 name[64];

	if (listener_rights(s, listener, &rights))
		return true;
	(void)snprintf(name, sizeof name, "%.32s/listener_mode", listener);
	complain(
		ctx, name,
		"listener_mode, listener_owner or listener_group is wrong: write a mode as 0660, and "
		"a user and a group that are there");
	return false;
}

bool
listeners_check(struct settings *s,
                void (*complain)(void *ctx, const char *setting, const char *why), void *ctx,
                struct buffer *errors)
{
	struct listener_rows r;
	bool                 good = true;
	char                 name[64], why[256];

	if (!settings_fill(s, &listener_setting_table, NULL, &r, NULL))
		return false;
	for (size_t i = 0; i < r.listeners.count; i++) {
		const char *setting, *item = r.listeners.item[i];
		const char *wrong = wrong_of(s, item, &setting, errors);

		for (size_t k = 0; wrong == NULL && k < i; k++)
			if (strcmp(r.listeners.item[k], item) == 0)
				wrong = "is named twice";
		if (wrong == NULL && i + LISTEN_SERVICES >= LISTENERS_MOST - 1)
			wrong = "is one too many: there can be 24";
		if (wrong == NULL)
			continue;
		good = false;
		if (strcmp(setting, "listeners") == 0)
			(void)snprintf(name, sizeof name, "listeners");
		else
			(void)snprintf(name, sizeof name, "%.32s/%s", item, setting);
		(void)snprintf(why, sizeof why, "%.32s %s", item, wrong);
		complain(ctx, name, why);
	}
	for (int i = 0; i < LISTEN_SERVICES; i++)
		good &= rights_check(s, listener_names[i], complain, ctx);
	for (size_t i = 0; i < r.listeners.count; i++)
		good &= rights_check(s, r.listeners.item[i], complain, ctx);
	if (r.service != 0)
		complain(ctx, "listener_service",
		         "is said for one listener: write reinject/listener_service");
	if (r.addresses.count != 0)
		complain(ctx, "listener_address",
		         "is said for one listener: write reinject/listener_address");
	return good && r.service == 0 && r.addresses.count == 0;
}
