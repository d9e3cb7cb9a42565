import type { Surface } from "./surface.ts";

export interface ShrunkInputs {
  /** Inputs that make a fresh target fail, as few and as simple as were found; else the last one alone. */
  readonly inputs: readonly unknown[];
  readonly isReproduced: boolean;
}

/** Time for making a failure small. */
const BUDGET_MS = 30_000;
/** Failures mostly need but the last few inputs. */
const RECENT = [1, 10, 100, 1000, 20_000];

/** Make the inputs that led to a failure few, and each simple. */
export async function shrink(surface: Surface, history: readonly unknown[]): Promise<ShrunkInputs> {
  const untilMs = performance.now() + BUDGET_MS;
  const isOver = (): boolean => performance.now() > untilMs;
  const failing = await failingTail(surface, history, isOver);
  if (failing === null) return { inputs: history.slice(-1), isReproduced: false };
  const inputs = await dropInputs(surface, failing, isOver);
  return { inputs: await simplifyInputs(surface, inputs, isOver), isReproduced: true };
}

async function failingTail(surface: Surface, history: readonly unknown[], isOver: () => boolean) {
  for (const count of RECENT) {
    const tail = history.slice(-count);
    if (isOver()) return null;
    if (await fails(surface, tail)) return tail;
    if (tail.length === history.length) return null;
  }
  return null;
}

async function dropInputs(surface: Surface, from: readonly unknown[], isOver: () => boolean) {
  let inputs = from;
  for (
    let size = Math.ceil(inputs.length / 2);
    size >= 1 && inputs.length > 1;
    size = size === 1 ? 0 : Math.ceil(size / 2)
  ) {
    for (let start = 0; start < inputs.length && !isOver(); ) {
      const fewer = [...inputs.slice(0, start), ...inputs.slice(start + size)];
      if (fewer.length > 0 && (await fails(surface, fewer))) inputs = fewer;
      else start += size;
    }
  }
  return inputs;
}

async function simplifyInputs(surface: Surface, from: readonly unknown[], isOver: () => boolean) {
  const inputs = [...from];
  for (let index = 0; index < inputs.length; index++) {
    for (let hasChanged = true; hasChanged && !isOver(); ) {
      hasChanged = false;
      for (const simpler of surface.simpler(inputs[index])) {
        if (isOver()) break;
        const before = inputs[index];
        inputs[index] = simpler;
        if (await fails(surface, inputs)) {
          hasChanged = true;
          break;
        }
        inputs[index] = before;
      }
    }
  }
  return inputs;
}

async function fails(surface: Surface, inputs: readonly unknown[]): Promise<boolean> {
  const target = await surface.open();
  try {
    for (const input of inputs) await target.feed(input);
    await target.check();
    await target.finish();
    return false;
  } catch {
    return true;
  } finally {
    await Promise.resolve(target.close()).catch(() => {});
  }
}
