#include "smtp/receiver/tls-words.h"
#include "base/journal.h"

void
tls_tell(const struct tls_facts *t, const struct receiver_config *c, const char *client)
{
	const char   *trust = !t->certificate ? "Anonymous" : t->trusted ? "Trusted" : "Untrusted";
	struct buffer more = { 0 };

	if (c->set.tls_loglevel < 1)
		return;
	if (t->certificate && c->set.tls_loglevel >= 2)
		note_as(c->service,
		        "%s: subject_CN=%s, issuer_CN=%s, fingerprint=%s, pkey_fingerprint=%s",
		        client, t->subject, t->issuer, t->fingerprint, t->key_fingerprint);
	if (t->certificate && !t->trusted)
		note_as(c->service, "certificate verification failed for %s: %s", client, t->doubt);
	if (t->resumed && c->set.tls_loglevel >= 2)
		note_as(c->service, "%s: Reusing old session", client);
	if (t->sni[0] != '\0' && c->set.tls_loglevel >= 2)
		note_as(c->service, "%s: asked for the certificate of %s", client, t->sni);
	tls_facts_more(t, " ", " ", &more);
	note_as(c->service, "%s TLS connection %s from %s: %s with cipher %s (%d/%d bits)%.*s",
	        trust, t->resumed ? "reused" : "established", client, t->version, t->cipher,
	        t->bits, t->algorithm_bits, (int)more.len, more.at);
	buffer_free(&more);
}

/* FWS between what could become a long line; comments as rfc5322:3.2.2 has them. */
void
tls_trace(const struct tls_facts *t, struct buffer *out)
{
	buffer_printf(out, "\t(using %s with cipher %s (%d/%d bits)", t->version, t->cipher,
	              t->bits, t->algorithm_bits);
	tls_facts_more(t, "\r\n\t ", "\r\n\t ", out);
	buffer_add_string(out, ")\r\n");
	if (t->certificate)
		buffer_printf(out, "\t(Client CN \"%s\", Issuer \"%s\" (%s))\r\n", t->subject,
		              t->issuer, t->trusted ? "verified OK" : "not verified");
	else
		buffer_printf(out, "\t(%s)\r\n",
		              t->asked ? "Client did not present a certificate"
		                       : "No client certificate requested");
}
