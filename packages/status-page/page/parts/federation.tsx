import type { JSX } from "preact";
import { formatNumber } from "../data/format.ts";
import type { NodeView, UpstreamView } from "../data/types.ts";
import { Name } from "./name.tsx";
import { kindOfPhase, Status } from "./status.tsx";

const ROW_PX = 64;
const WIDTH_PX = 120;

/** Who follows whom: upstreams on the left, this node on the right, its peers below. */
export function Federation({
  node,
  upstreams,
}: {
  readonly node: NodeView;
  readonly upstreams: readonly UpstreamView[];
}): JSX.Element {
  const { peers = [] } = node;
  return (
    <div class="federation">
      {upstreams.length === 0 ? null : (
        <>
          <ul class="upstreams" aria-label={`Upstreams of ${node.name}`}>
            {upstreams.map(({ name, phase, registrations, mode, tier }) => (
              <li key={name} class={`pill ${kindOfPhase(phase)}`}>
                <strong>
                  <Name text={name} />
                </strong>
                <span class="small">
                  <Status kind={kindOfPhase(phase)}>{phase}</Status>{" "}
                  <span class="muted">
                    {tier ? "lookup proxy, " : ""}
                    {mode === "forward" ? "asked, not copied" : `${formatNumber(registrations)} copied`}
                  </span>
                </span>
              </li>
            ))}
          </ul>
          <Streams upstreams={upstreams} />
        </>
      )}
      <div class="pill self">
        <strong>
          <Name text={node.name} />
        </strong>
        <span class="small muted">{upstreams.length === 0 ? "follows no other RD" : "this node"}</span>
        <span class="small">{formatNumber(node.registrations.visible)} shown</span>
      </div>
      {peers.length === 0 ? null : (
        <ul class="peers" aria-label="Peers with the same address">
          {peers.map(({ name, uri, up }) => (
            <li key={uri} class="pill">
              <strong>
                <Name text={name} />
              </strong>
              <span class="small">
                <Status kind={up ? "good" : "warn"}>{up ? "peer is up" : "peer is away"}</Status>
              </span>
            </li>
          ))}
        </ul>
      )}
    </div>
  );
}

/** One stream for each upstream; they flow while it is live. */
function Streams({ upstreams }: { readonly upstreams: readonly UpstreamView[] }): JSX.Element {
  const height = upstreams.length * ROW_PX;
  const middle = height / 2;
  return (
    <svg class="streams" viewBox={`0 0 ${WIDTH_PX} ${height}`} width={WIDTH_PX} height={height} aria-hidden="true">
      {upstreams.map(({ name, phase }, at) => {
        const y = at * ROW_PX + ROW_PX / 2;
        const path = `M0 ${y}C${WIDTH_PX / 2} ${y} ${WIDTH_PX / 2} ${middle} ${WIDTH_PX} ${middle}`;
        return (
          <g key={name} class={kindOfPhase(phase)}>
            <path class="bed" d={path} />
            <path class="water" d={path} />
          </g>
        );
      })}
    </svg>
  );
}
