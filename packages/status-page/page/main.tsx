import { render } from "preact";
import { App } from "./app.tsx";
import { Live } from "./data/live.ts";
import "./styles/base.css";
import "./styles/parts.css";
import "./styles/charts.css";

const root = document.getElementById("app");
if (root !== null) render(<App live={new Live()} />, root);
