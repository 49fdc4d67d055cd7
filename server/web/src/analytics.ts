// The drawings of the analytics page; loaded there alone.
import { startHours } from "./charts/hours";
import { startKeys, startTables } from "./charts/keys";
import { startTrend } from "./charts/trend";
import { startWorld } from "./charts/world";

startKeys();
startTables();
startTrend();
startHours();
void startWorld();
