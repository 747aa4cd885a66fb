#include "command/tls-report.h"

#include <arpa/inet.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509v3.h>

enum { SOON_DAYS = 14, NAMES_SHOWN = 20 };

__attribute__((format(printf, 2, 0))) static void
add_line(struct buffer *to, const char *form, va_list list)
{
	buffer_vprintf(to, form, list);
	buffer_add_char(to, '\n');
}

/* The worst counts, and of equals the first. */
__attribute__((format(printf, 3, 0))) static void
lower(struct report *r, char grade, const char *form, va_list list)
{
	if (grade <= r->grade)
		return;
	r->grade = grade;
	(void)vsnprintf(r->why, sizeof r->why, form, list);
}

void
report_wrong(struct report *r, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	add_line(&r->wrong, form, list);
	va_end(list);
	va_start(list, form);
	lower(r, 'F', form, list);
	va_end(list);
}

void
report_flaw(struct report *r, char grade, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	add_line(&r->wrong, form, list);
	va_end(list);
	va_start(list, form);
	lower(r, grade, form, list);
	va_end(list);
}

void
report_lowers(struct report *r, char grade, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	lower(r, grade, form, list);
	va_end(list);
}

void
report_grade(const struct report *r)
{
	report_line("grade", "%c%s%s", r->grade == 0 ? 'A' : r->grade, *r->why != '\0' ? ": " : "",
	            r->why);
}

void
report_note(struct report *r, const char *form, ...)
{
	va_list list;

	va_start(list, form);
	add_line(&r->noted, form, list);
	va_end(list);
}

void
report_line(const char *what, const char *form, ...)
{
	va_list list;

	(void)printf("  %-12s ", what);
	va_start(list, form);
	(void)vprintf(form, list);
	va_end(list);
	(void)putchar('\n');
}

/* As rfc2253 writes it, without what a terminal could take for more than text. */
static const char *
name_text(const X509_NAME *name, char out[static 256])
{
	BIO  *bio = BIO_new(BIO_s_mem());
	char *at = NULL;
	long  n = 0;

	if (bio != NULL && X509_NAME_print_ex(bio, name, 0, XN_FLAG_RFC2253) >= 0)
		n = BIO_get_mem_data(bio, &at);
	if (n > 255)
		n = 255;
	for (long i = 0; i < n; i++)
		out[i] = at[i] < ' ' || at[i] == 127 ? '?' : at[i];
	out[n < 0 ? 0 : n] = '\0';
	BIO_free(bio);
	return out;
}

static void
tell_names(const X509 *leaf)
{
	GENERAL_NAMES *all = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	struct buffer  text = { 0 };
	int            n = all == NULL ? 0 : sk_GENERAL_NAME_num(all);

	for (int i = 0; i < n && i < NAMES_SHOWN; i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(all, i);

		if (g->type == GEN_DNS)
			buffer_printf(&text, "%s%.*s", text.len > 0 ? " " : "",
			              ASN1_STRING_length(g->d.dNSName),
			              (const char *)ASN1_STRING_get0_data(g->d.dNSName));
	}
	for (size_t i = 0; i < text.len; i++)
		if (text.at[i] < ' ')
			text.at[i] = '?';
	report_line("names", "%.*s%s", (int)text.len, text.len > 0 ? text.at : "",
	            n > NAMES_SHOWN ? " ..."
	            : n == 0        ? "none but the subject's"
	                            : "");
	buffer_free(&text);
	GENERAL_NAMES_free(all);
}

static void
judge_dates(struct report *r, const X509 *x, const char *whose)
{
	int  days = 0, seconds = 0;
	char until[64] = "";
	BIO *bio = BIO_new(BIO_s_mem());

	if (bio != NULL && ASN1_TIME_print(bio, X509_get0_notAfter(x)) == 1) {
		int n = BIO_read(bio, until, sizeof until - 1);
		until[n > 0 ? n : 0] = '\0';
	}
	BIO_free(bio);
	(void)ASN1_TIME_diff(&days, &seconds, NULL, X509_get0_notAfter(x));
	report_line("until", "%s (%d days)", until, days);
	if (days < 0 || seconds < 0)
		report_wrong(r, "%s has expired", whose);
	else if (days < SOON_DAYS)
		report_flaw(r, 'B', "%s expires in %d days", whose, days);
	if (X509_cmp_current_time(X509_get0_notBefore(x)) > 0)
		report_wrong(r, "%s is not valid yet", whose);
}

static void
judge_key(struct report *r, const X509 *x)
{
	EVP_PKEY *key = X509_get0_pubkey(x);
	int       bits = key == NULL ? 0 : EVP_PKEY_get_bits(key), nid = NID_undef;
	int       kind = key == NULL ? EVP_PKEY_NONE : EVP_PKEY_get_base_id(key);

	(void)X509_get_signature_info((X509 *)(uintptr_t)x, &nid, NULL, NULL, NULL);
	report_line("key", "%s, %d bits; signed with %s",
	            kind == EVP_PKEY_RSA  ? "RSA"
	            : kind == EVP_PKEY_EC ? "ECDSA"
	                                  : OBJ_nid2sn(kind),
	            bits, OBJ_nid2sn(X509_get_signature_nid(x)));
	if (kind == EVP_PKEY_RSA && bits < 2048)
		report_flaw(r, 'C', "an RSA key of %d bits is too short", bits);
	if (nid == NID_md5 || nid == NID_sha1)
		report_flaw(r, 'C', "the certificate is signed with %s", OBJ_nid2sn(nid));
}

static void
judge_name(struct report *r, X509 *leaf, const char *host)
{
	unsigned char raw[16];
	bool address = inet_pton(AF_INET, host, raw) == 1 || inet_pton(AF_INET6, host, raw) == 1;

	if (address ? X509_check_ip_asc(leaf, host, 0) == 1
	            : X509_check_host(leaf, host, strlen(host), 0, NULL) == 1)
		return;
	report_wrong(r, "the certificate is not for %s", host);
}

/* Certificates to practise with: nobody trusts them, and people forget that they have them (R242). */
static void
judge_issuer(struct report *r, X509 *x, const char *issuer)
{
	if (strstr(issuer, "(STAGING)") != NULL || strstr(issuer, "Fake LE") != NULL)
		report_wrong(r,
		             "this is a certificate of a staging authority, that nobody trusts: %s",
		             issuer);
	else if (X509_check_issued(x, x) == X509_V_OK)
		report_note(r,
		            "the certificate is signed by itself: mail servers do not mind, mail "
		            "programs complain");
}

void
report_chain(struct report *r, STACK_OF(X509) * chain, const char *host)
{
	char  name[256], issuer[256];
	X509 *leaf = sk_X509_value(chain, 0);

	report_line("certificate", "%s", name_text(X509_get_subject_name(leaf), name));
	tell_names(leaf);
	judge_key(r, leaf);
	judge_dates(r, leaf, "the certificate");
	for (int i = 0; i < sk_X509_num(chain); i++) {
		X509 *x = sk_X509_value(chain, i);

		report_line(i == 0 ? "issued by" : "", "%s",
		            name_text(X509_get_issuer_name(x), issuer));
		if (i == 0)
			judge_issuer(r, leaf, issuer);
		else if (X509_cmp_current_time(X509_get0_notAfter(x)) < 0)
			report_wrong(r, "%s, of the chain, has expired",
			             name_text(X509_get_subject_name(x), name));
	}
	if (host != NULL)
		judge_name(r, leaf, host);
}

static void
print_lines(struct buffer *lines, const char *before)
{
	struct bytes rest = buffer_bytes(lines), line;

	while (bytes_split(&rest, '\n', &line))
		if (line.len > 0)
			(void)printf("  %-12s %.*s\n", before, (int)line.len, line.at);
	buffer_free(lines);
}

bool
report_end(struct report *r)
{
	bool wrong = r->wrong.len > 0;

	print_lines(&r->noted, "note");
	print_lines(&r->wrong, "WRONG");
	return wrong;
}
