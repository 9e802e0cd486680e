// Deploys with vow: requests a tree, waits until it is Green, reads what it published, bangs it, and follows the convergence to its end.
//
//   node dist/main.js http://127.0.0.1:7711 shop file:///opt/releases/shop web-port=8080
import { randomUUID } from "node:crypto";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { BangService } from "@vow-os/vow/vow/master/v1/bang_pb.js";
import { ConvergenceService, ConvergenceState } from "@vow-os/vow/vow/master/v1/convergence_pb.js";
import { InstanceService } from "@vow-os/vow/vow/master/v1/instance_pb.js";
import { TreeService } from "@vow-os/vow/vow/master/v1/tree_pb.js";
import { BangOrigin, Colour } from "@vow-os/vow/vow/type/v1/type_pb.js";

/** How often a call is made at most: with the delay doubled from 100 ms this spans 6 s, a restart of svc-master. */
const attempts = 7;

const pause = (ms: number, signal: AbortSignal) =>
  new Promise<void>((resolve, reject) => {
    signal.throwIfAborted();
    const timer = setTimeout(resolve, ms);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });

/** Tells whether the same call may be answered later. Every call below carries its key, and so may be made again. */
const passes = (error: unknown) => ConnectError.from(error).code === Code.Unavailable;

/** Makes a unary call again while svc-master is away. */
const retry: Interceptor = (next) => async (request) => {
  for (let attempt = 1; ; attempt++) {
    try {
      return await next(request);
    } catch (error) {
      if (request.stream || attempt === attempts || !passes(error)) throw error;
      await pause(100 * 2 ** (attempt - 1) * (0.5 + Math.random() / 2), request.signal);
    }
  }
};

/** Opens a stream again when it breaks: each begins with the whole state, so nothing is missed. Ends when look answers true. */
async function watch<M>(open: () => AsyncIterable<M>, look: (message: M) => boolean, signal: AbortSignal): Promise<void> {
  for (;;) {
    try {
      for await (const message of open()) if (look(message)) return;
    } catch (error) {
      if (!passes(error)) throw error;
    }
    await pause(1000, signal);
  }
}

async function deploy(master: string, title: string, softwareRelease: string, parameters: Record<string, string>): Promise<void> {
  const signal = AbortSignal.timeout(60_000);
  const transport = createConnectTransport({ baseUrl: master, httpVersion: "2", interceptors: [retry] });
  const instances = createClient(InstanceService, transport);
  const trees = createClient(TreeService, transport);
  const bangs = createClient(BangService, transport);
  const convergences = createClient(ConvergenceService, transport);

  const requested = await instances.requestInstance({ requestId: randomUUID(), title, softwareRelease, parameters }, { signal, timeoutMs: 10_000 });
  const treeId = requested.instance!.treeId;
  // Green alone may be that of before the change: settled says that each partition has run since.
  await watch(
    () => trees.watchTreeColours({ treeId }, { signal }),
    (told) => told.colour?.colour === Colour.GREEN && told.instances.every((i) => i.settled),
    signal,
  );
  const { tree } = await trees.getTree({ by: { case: "id", value: treeId } }, { signal, timeoutMs: 10_000 });
  console.log(`${title} is Green`);
  for (const [name, value] of Object.entries(tree!.instances[0]!.connectionParameters)) {
    if (name.endsWith("-url")) console.log(`${name}=${value}`); // others may be secrets
  }

  const banged = await bangs.bang(
    { requestId: randomUUID(), origin: BangOrigin.MANUAL, source: "typescript example", target: { case: "treeId", value: treeId } },
    { signal, timeoutMs: 10_000 },
  );
  const id = banged.results[0]!.convergenceId;
  await watch(
    () => convergences.watchConvergence({ id }, { signal }),
    ({ convergence: c }) => {
      console.log(`${c!.convergenceId} ${ConvergenceState[c!.state]}, trace ${c!.traceId}`);
      if (c!.closedAt && c!.state !== ConvergenceState.CONVERGED) throw new Error(`convergence ${id} ended ${ConvergenceState[c!.state]}: ${c!.reason}`);
      return c!.closedAt !== undefined;
    },
    signal,
  );
}

const [master, title, release, ...parameters] = process.argv.slice(2);
if (!master || !title || !release) {
  console.error("cannot deploy: want MASTER TITLE RELEASE [PARAMETER=VALUE …]");
  process.exit(2);
}
try {
  await deploy(master, title, release, Object.fromEntries(parameters.map((p) => [p.slice(0, p.indexOf("=")), p.slice(p.indexOf("=") + 1)])));
  process.exit(0); // or its HTTP/2 connection keeps Node up until it idles
} catch (error) {
  const e = ConnectError.from(error);
  console.error(e.code === Code.ResourceExhausted ? `refused: ${e.rawMessage}` : e.message);
  process.exit(1);
}
