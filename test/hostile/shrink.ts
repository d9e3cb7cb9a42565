import type { Surface } from "./surface.ts";

export interface ShrunkInputs {
  /** Inputs that make a fresh target fail, as few and as simple as were found; else the last one alone. */
  readonly inputs: readonly unknown[];
  readonly isReproduced: boolean;
}

const KIND_LENGTH = 40;
/** Time for making a failure small. */
const BUDGET_MS = 20_000;
/** Failures mostly need but the last few inputs. */
const RECENT = [1, 10, 100, 1000];

type Fails = (inputs: readonly unknown[]) => Promise<boolean>;

/** Make the inputs that led to a failure few, and each simple. Another failure met on the way does not count. */
export async function shrink(surface: Surface, history: readonly unknown[], cause: unknown): Promise<ShrunkInputs> {
  const kind = kindOf(cause);
  const fails: Fails = async (inputs) => (await failureOf(surface, inputs)) === kind;
  const untilMs = performance.now() + BUDGET_MS;
  const isOver = (): boolean => performance.now() > untilMs;
  const failing = await failingTail(fails, history, isOver);
  if (failing === null) return { inputs: history.slice(-1), isReproduced: false };
  const inputs = await dropInputs(fails, failing, isOver);
  return { inputs: await simplifyInputs(surface, fails, inputs, isOver), isReproduced: true };
}

async function failingTail(fails: Fails, history: readonly unknown[], isOver: () => boolean) {
  for (const count of RECENT) {
    const tail = history.slice(-count);
    if (isOver()) return null;
    if (await fails(tail)) return tail;
    if (tail.length === history.length) return null;
  }
  return null;
}

async function dropInputs(fails: Fails, from: readonly unknown[], isOver: () => boolean) {
  let inputs = from;
  for (
    let size = Math.ceil(inputs.length / 2);
    size >= 1 && inputs.length > 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let start = 0; start < inputs.length && !isOver(); ) {
      const fewer = [...inputs.slice(0, start), ...inputs.slice(start + size)];
      if (fewer.length > 0 && (await fails(fewer))) inputs = fewer;
      else start += size;
    }
  }
  return inputs;
}

async function simplifyInputs(surface: Surface, fails: Fails, from: readonly unknown[], isOver: () => boolean) {
  const inputs = [...from];
  for (let index = 0; index < inputs.length; index++) {
    for (let hasChanged = true; hasChanged && !isOver(); ) {
      hasChanged = false;
      for (const simpler of surface.simpler(inputs[index])) {
        if (isOver()) break;
        const before = inputs[index];
        inputs[index] = simpler;
        if (await fails(inputs)) {
          hasChanged = true;
          break;
        }
        inputs[index] = before;
      }
    }
  }
  return inputs;
}

/** How a fresh target fails, or null. */
async function failureOf(surface: Surface, inputs: readonly unknown[]): Promise<string | null> {
  const target = await surface.open();
  try {
    for (const input of inputs) await target.feed(input);
    await target.check();
    await target.finish();
    return null;
  } catch (error) {
    return kindOf(error);
  } finally {
    await Promise.resolve(target.close()).catch(() => {});
  }
}

/** The beginning of a message, without what differs from case to case. */
function kindOf(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  return message.replace(/[0-9]+/g, "").slice(0, KIND_LENGTH);
}
