export { type InstanceFaults, StreamModel } from "./stream-model.js";
