import fc from "fast-check";

/**
 * Property tests draw the same inputs in every run, so that a change is judged by what it changes. `FC_SEED` tries others;
 * a failure prints its seed and path.
 */
fc.configureGlobal({ seed: Number(process.env.FC_SEED ?? 20_261_126) });
