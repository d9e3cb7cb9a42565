import type { Random } from "@tributary/runtime";
import { seededRandom } from "@tributary/runtime/testing";

export const INSTANCES = ["rd-1", "rd-2", "rd-3"] as const;
export type InstanceName = (typeof INSTANCES)[number];
/** What an instance does with registrations while the stream is away. */
export type Partition = "refuse" | "accept";

/** Something to do. Devices with one `ep` fight for it. */
export type SharedDeed =
  | {
      readonly kind: "register" | "renew" | "remove";
      readonly device: number;
      readonly instance: InstanceName;
      readonly ltS: number;
      /** Names the content of a registration. */
      readonly revision: number;
    }
  /** The instance is in a minority: nothing is answered or delivered. */
  | { readonly kind: "cut-off" | "reconnect"; readonly instance: InstanceName }
  /** Share of submissions that are stored and not answered. */
  | { readonly kind: "lose-responses"; readonly instance: InstanceName; readonly share: number }
  /** Only probes get no answer: the servers elect the leader of that stream later. */
  | { readonly kind: "lose-probes" | "find-probes"; readonly instance: InstanceName }
  | { readonly kind: "crash" | "start"; readonly instance: InstanceName }
  /** The proxy does not reach the instance. */
  | { readonly kind: "separate" | "join"; readonly instance: InstanceName };

export interface SharedPlan {
  readonly seed: number;
  readonly partition: Partition;
  /** Endpoint name of each device. */
  readonly devices: readonly string[];
  /** By how much the wall clock of each instance is ahead, ms. */
  readonly wallErrorsMs: Readonly<Record<InstanceName, number>>;
  readonly lengthMs: number;
  readonly deeds: readonly { readonly atMs: number; readonly deed: SharedDeed }[];
  /** What happens to the stream in the end; null: nothing. */
  readonly loss: "recreated" | "set-back" | "emptied" | null;
}

/** The world and what happens in it: a function of the seed. */
export function createSharedPlan(seed: number): SharedPlan {
  const random = seededRandom(seed * 6_700_417 + 11);
  const within = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const pick = <T>(items: readonly T[]) => items[within(0, items.length - 1)] as T;
  const names = within(2, 6);
  const devices = Array.from({ length: within(names, names + 3) }, (_, at) => `node-${(at % names) + 1}`);
  const lengthMs = within(40, 200) * 1000;
  const own = devices.flatMap((_, device) => planDevice(random, device, lengthMs));
  const faults = planFaults(random, lengthMs);
  const crowd = planCrowd(seed, devices.length, lengthMs);
  devices.push(...crowd.devices);
  const deeds = [...own, ...faults, ...crowd.deeds].sort((one, other) => one.atMs - other.atMs);
  const error = () => (random() < 0.5 ? 0 : within(-30_000, 30_000));
  return {
    ...{ seed, devices, lengthMs, deeds },
    partition: pick(["refuse", "accept"] as const),
    wallErrorsMs: { "rd-1": error(), "rd-2": error(), "rd-3": error() },
    loss: random() < 0.3 ? pick(["recreated", "set-back", "emptied"] as const) : null,
  };
}

let revisions = 0;

function planDevice(random: Random, device: number, lengthMs: number): SharedPlan["deeds"] {
  const within = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const deeds: { atMs: number; deed: SharedDeed }[] = [];
  let instance = INSTANCES[within(0, 2)] as InstanceName;
  revisions = device * 1000;
  for (let atMs = within(500, 15_000); atMs < lengthMs; atMs += within(1000, random() < 0.4 ? 4000 : 40_000)) {
    if (random() < 0.4) instance = INSTANCES[within(0, 2)] as InstanceName;
    const dice = deeds.length === 0 ? 0 : random();
    const kind = dice < 0.45 ? "register" : dice < 0.85 ? "renew" : "remove";
    const ltS = random() < 0.3 ? within(5, 30) : random() < 0.5 ? within(60, 300) : 6000;
    deeds.push({ atMs, deed: { kind, device, instance, ltS, revision: revisions++ } });
  }
  return deeds;
}

/** Devices that come all at once, again and again, so that an instance submits together what they ask for. */
function planCrowd(seed: number, first: number, lengthMs: number): Pick<SharedPlan, "deeds"> & { devices: string[] } {
  const random = seededRandom(seed * 15_485_863 + 3);
  const within = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const size = random() < 0.5 ? 0 : within(3, 8);
  const devices = Array.from({ length: size }, (_, at) => `crowd-${at + 1}`);
  const deeds: { atMs: number; deed: SharedDeed }[] = [];
  let revision = first * 1000;
  for (let atMs = within(500, 10_000); size > 0 && atMs < lengthMs; atMs += within(3000, 40_000)) {
    const kind = deeds.length === 0 || random() < 0.5 ? "register" : "renew";
    for (const at of devices.keys()) {
      // Some of them are served elsewhere at the same moment, and may have been there first.
      const instance = INSTANCES[random() < 0.8 ? 0 : within(0, 2)] as InstanceName;
      deeds.push({ atMs, deed: { kind, device: first + at, instance, ltS: 6000, revision: revision++ } });
    }
  }
  for (let atMs = within(5000, 60_000); size > 0 && atMs < lengthMs; atMs += within(20_000, 90_000)) {
    const instance = INSTANCES[within(0, 2)] as InstanceName;
    deeds.push({ atMs, deed: { kind: "lose-probes", instance } });
    deeds.push({ atMs: atMs + within(3000, 30_000), deed: { kind: "find-probes", instance } });
  }
  return { devices, deeds: deeds.filter(({ atMs }) => atMs < lengthMs) };
}

function planFaults(random: Random, lengthMs: number): SharedPlan["deeds"] {
  const within = (least: number, most: number) => least + Math.floor(random() * (most - least + 1));
  const deeds: { atMs: number; deed: SharedDeed }[] = [];
  for (let atMs = within(1000, 20_000); atMs < lengthMs; atMs += within(2000, 40_000)) {
    const instance = INSTANCES[within(0, 2)] as InstanceName;
    const untilMs = atMs + within(500, random() < 0.5 ? 5000 : 60_000);
    // An instance in a minority ends before it is back.
    if (random() < 0.15) {
      deeds.push({ atMs, deed: { kind: "cut-off", instance } }, { atMs: untilMs, deed: { kind: "crash", instance } });
      deeds.push({ atMs: untilMs + 1000, deed: { kind: "start", instance } });
      continue;
    }
    const [deed, undo]: [SharedDeed, SharedDeed] = (() => {
      const dice = random();
      if (dice < 0.45)
        return [
          { kind: "cut-off", instance },
          { kind: "reconnect", instance },
        ];
      if (dice < 0.65) {
        const share = random() < 0.5 ? 1 : 0.3;
        return [
          { kind: "lose-responses", instance, share },
          { kind: "lose-responses", instance, share: 0 },
        ];
      }
      if (dice < 0.85)
        return [
          { kind: "crash", instance },
          { kind: "start", instance },
        ];
      return [
        { kind: "separate", instance },
        { kind: "join", instance },
      ];
    })();
    deeds.push({ atMs, deed }, { atMs: untilMs, deed: undo });
  }
  return deeds.filter(({ atMs }) => atMs < lengthMs);
}
