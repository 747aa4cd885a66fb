#include "command/client-settings.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/arena.h"
#include "dns/hostname.h"
#include "message/domain.h"
#include "role/guide.h"
#include "role/listeners.h"
#include "role/tls-settings.h"

struct telling {
	struct settings       *settings;
	struct common_settings common;
	struct arena          *life;
	const char            *unread; /* a certificate nobody lets us read, NULL none */
	struct client_facts    facts;
};

/* The chains of a listener: how many there are, and, where `out` is not NULL, what may be shown of their files. */
static size_t
look_at_chains(struct telling *t, const char *listener, struct buffer *out)
{
	struct tls_chains chains = { NULL, 0 };
	struct tls_rows   rows;
	struct buffer     errors = { 0 };

	if (!settings_fill(t->settings, &tls_setting_table, listener, &rows, &errors) ||
	    !tls_chains_of(t->settings, &rows, t->life, &chains, &errors))
		chains.count = 0;
	buffer_free(&errors);
	for (size_t i = 0; out != NULL && i < chains.count; i++) {
		struct bytes rest = bytes_of(chains.chain[i].files), file;
		char         path[4096];

		while (bytes_split(&rest, '\t', &file)) {
			struct buffer whole = { 0 };

			if (!bytes_string(file, path, sizeof path) || access(path, R_OK) < 0)
				t->unread = arena_copy(t->life, file);
			else if (command_read(path, &whole))
				tls_public_part(buffer_bytes(&whole), out);
			if (whole.len > 0)
				explicit_bzero(whole.at, whole.len);
			buffer_free(&whole);
		}
		buffer_add_string(out, "# key\n");
	}
	return chains.count;
}

static bool
shows(void *ctx, const char *listener)
{
	return look_at_chains(ctx, listener, NULL) > 0;
}

/* As role guide finds it (find_facts()). */
static void
find_host(struct telling *t, const char *said)
{
	struct guide_settings r;
	struct buffer         chains = { 0 }, errors = { 0 };

	if (said == NULL && settings_fill(t->settings, &guide_setting_table, NULL, &r, &errors) &&
	    *r.host != '\0')
		said = r.host;
	if (said != NULL)
		(void)snprintf(t->facts.host, sizeof t->facts.host, "%.255s", said);
	else {
		if (look_at_chains(t, listener_names[LISTEN_IMAPS], &chains) == 0)
			(void)look_at_chains(t, listener_names[LISTEN_SUBMISSIONS], &chains);
		if (!guide_name(buffer_bytes(&chains), t->common.myhostname, t->facts.host) &&
		    t->unread != NULL)
			(void)fprintf(
				stderr,
				"mansio: %s cannot be read, so whether it has the name %s is not known: call this as root\n",
				t->unread, t->facts.host);
		else if (strcmp(t->facts.host, t->common.myhostname) != 0)
			(void)fprintf(
				stderr,
				"mansio: no certificate has the name %s (myhostname), so it is %s; autoconfig_host says another\n",
				t->common.myhostname, t->facts.host);
	}
	buffer_free(&chains);
	buffer_free(&errors);
}

static int
print(struct telling *t, struct bytes domain, bool xml, const char *outlook)
{
	struct buffer out = { 0 };

	if (t->facts.servers == 0) {
		(void)fprintf(
			stderr,
			"mansio: no listener of readers or submission has TLS: set smtpd_tls_cert_file and smtpd_tls_key_file\n");
		return COMMAND_FAILED;
	}
	if (outlook != NULL)
		client_outlook(&t->facts, bytes_of(outlook), &out);
	else if (xml)
		client_mozilla(&t->facts, domain, &out);
	else {
		client_words(&t->facts, domain, &out);
		buffer_printf(
			&out, "\n  %s\n",
			guide_wanted(t->settings)
				? "Thunderbird and Outlook find this by themselves (autoconfig = yes)."
				: "With autoconfig = yes in main.cf Thunderbird and Outlook find this by themselves.");
	}
	command_print(buffer_bytes(&out), stdout);
	buffer_free(&out);
	return COMMAND_DONE;
}

int
client_settings_run(struct call *c)
{
	struct telling t = { .life = arena_open(NULL) };
	bool           xml = command_option(c, "--xml", NULL);
	const char    *outlook = NULL, *host = NULL;
	struct bytes   domain = { NULL, 0 };
	int            status = COMMAND_FAILED;

	(void)command_option(c, "--outlook", &outlook);
	(void)command_option(c, "--host", &host);
	if (c->argc != 3 || (xml && outlook != NULL))
		status = command_wrong(c, "domain client-settings wants a domain, and one form");
	else if (host != NULL && !hostname_valid(bytes_of(host)))
		status = command_wrong(c, "--host %s is no name, as mail.example.org", host);
	else if (!domain_canonical(bytes_of(c->argv[2]), t.life, &domain) ||
	         !hostname_valid(domain))
		(void)fprintf(stderr, "mansio: \"%s\" is no domain, as example.org\n", c->argv[2]);
	else if ((t.settings = command_settings(c, &t.common)) != NULL) {
		guide_services(t.settings, &t.common, shows, &t, &t.facts);
		find_host(&t, host);
		status = print(&t, domain, xml, outlook);
	}
	settings_close(&t.settings);
	arena_close(&t.life);
	return status;
}
