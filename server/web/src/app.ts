// What makes the pages livelier than plain HTML. Every page works without this file.
import { startAway } from "./islands/away";
import { startClipboard } from "./islands/clipboard";
import { startConversationList } from "./islands/conversation-list";
import { startForms } from "./islands/forms";
import { startMenus } from "./islands/menus";
import { startPolling } from "./islands/polling";
import { startRequests } from "./islands/requests";
import { startTheme } from "./islands/theme";
import { startTimes } from "./islands/times";

document.documentElement.dataset.js = "";
startRequests();
startAway();
startTheme();
startTimes();
startMenus();
startForms();
startClipboard();
startPolling();
startConversationList();
