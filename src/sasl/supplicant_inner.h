/*
 * supplicant_inner -- what the files of a login at another server share: supplicant (the mechanisms), supplicant-scram
 */
#ifndef SASL_SUPPLICANT_INNER_H
#define SASL_SUPPLICANT_INNER_H

#include "sasl/supplicant.h"

enum supplicant_trait { SUPPLICANT_BINDS = 1 /* the channel is part of it */, SUPPLICANT_NAMED_ALONE = 2 /* the filter must name it */ };
struct supplicant_mechanism {
	const char *name;
	unsigned    fails;             /* enum supplicant_demand                       */
	unsigned    traits;            /* enum supplicant_trait                        */
	const char *digest;            /* it is made with this one                 */
	bool (*first)(struct supplicant *, struct buffer *out);
	bool (*answer)(struct supplicant *, struct bytes challenge, struct buffer *out);
};
struct supplicant {
	const struct supplicant_mechanism *mechanism;
	const struct supplicant_facts     *facts;
	struct arena *life;
	unsigned      bit;
	int           step;            /* challenges so far, this one included     */
	bool          could_bind;      /* and the server did not offer it          */
	bool          proved;
	/* of SCRAM */
	struct bytes  header, first, server_key, message;
	const char   *nonce;
};

bool supplicant_scram_first(struct supplicant *, struct buffer *out);
bool supplicant_scram_answer(struct supplicant *, struct bytes challenge, struct buffer *out);
/* saslname of rfc5801:4: "=2C" and "=3D" for the two that have a meaning. */
void supplicant_name_add(struct buffer *out, const char *name);

#endif
