// Keeps the ids of the clicks that brought a visitor here, in a cookie of this site, and reports
// what came of them: tracklink.conversion({orderId: "1001", amount: "49.90", currency: "EUR"}).
(function (document, window) {
  "use strict";
  var source = new URL(document.currentScript.src);
  var given = source.searchParams;
  var name = given.get("parameter") || "tlid";
  var days = Number(given.get("days")) || 28;
  var domain = given.get("domain");
  var isPrivate = navigator.globalPrivacyControl || navigator.doNotTrack === "1";

  function kept() {
    var found = /(?:^|; )_tracklink=([0-9a-f.]+)/.exec(document.cookie);
    return found ? found[1].split(".") : [];
  }

  // An id begins with its time: 12 hexadecimal digits of milliseconds.
  var oldest = Date.now() - days * 864e5;
  var ids = isPrivate ? [] : kept().filter(function (id) {
    return parseInt(id.slice(0, 12), 16) > oldest;
  });
  var id = new URLSearchParams(window.location.search).get(name);
  if (!isPrivate && /^[0-9a-f]{32}$/.test(id) && ids.indexOf(id) < 0) {
    ids.push(id);
    if (ids.length > 9) ids.splice(1, 1);
    document.cookie = "_tracklink=" + ids.join(".") + ";path=/;SameSite=Lax;max-age=" +
      days * 86400 + (domain ? ";domain=" + domain : "") +
      (window.location.protocol === "https:" ? ";Secure" : "");
  }

  window.tracklink = {
    clickIds: function () { return ids.slice(); },
    // Resolves when the report was sent, whatever came of it.
    conversion: function (what) {
      var query = new URLSearchParams({ program: given.get("program") || "" });
      if (ids.length) query.set("clickIds", ids.join("."));
      ["orderId", "type", "amount", "currency", "coupon"].forEach(function (field) {
        if (what && what[field] != null) query.set(field, what[field]);
      });
      return new Promise(function (resolve) {
        var pixel = new Image();
        pixel.onload = pixel.onerror = function () { resolve(); };
        pixel.src = source.origin + "/conversion.gif?" + query;
      });
    }
  };
})(document, window);
