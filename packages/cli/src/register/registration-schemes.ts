/** Schemes of RDs that an endpoint can register with. */
export const SCHEMES: ReadonlySet<string> = new Set(["coap", "coap+tcp", "coaps+tcp"]);
