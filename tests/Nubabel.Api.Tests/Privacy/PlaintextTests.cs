using System.Net.Http.Json;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Builder;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Nubabel.Api.Tests.Races;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Privacy;

/// <summary>
/// Words that occur nowhere else are sent as a person's data, through success and failure alike. Afterwards they are in no table and in no line of
/// the log, in whatever form; only the person's own answers show them.
/// </summary>
public sealed class PlaintextTests
{
    private const string Email = "xq7canarymail@canary-host.example", Name = "Xq7canaryname Wq9", NewName = "Zk4canaryrenamed", Agent = "Vj3canaryagent/1.0", Password = "Uh8canarypassword!", Guest = "jr5canaryguest@guest-host.example", GuestName = "Ft6canaryguestname",
        Phone = "Bd2canaryphone", Pocket = "Mk9canarypocket", Lost = "Pq8canarylost on a train", Leave = "Wn5canaryleave";

    [Fact]
    public async Task No_table_and_no_log_line_holds_personal_plaintext()
    {
        await using var database = await TestDatabase.New();
        using var log = new Traces.Log();
        await using var api = await TestApi.Start(database, FinestLog, builder => builder.Logging.AddProvider(log));
        api.Client.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", Agent);
        var tokens = await Use(api);

        var rows = await Traces.Rows(database);
        foreach (var canary in new[] { Email, "xq7canarymail", Guest, "jr5canaryguest", GuestName, Name, NewName, Agent, Password, Phone, Pocket, Lost, Leave, "127.0.0.1", tokens.Access, tokens.Refresh, tokens.Refresh.Split('.')[^1] })
        {
            Assert.Equal((canary, []), (canary, Traces.Of(canary, rows).ToArray()));
            // The address that the server itself listens on is in its log.
            if (canary != "127.0.0.1") Assert.Equal((canary, []), (canary, Traces.Of(canary, log.Lines).ToArray()));
        }
        // The search would have found them: what is not personal is there, in the log and in the read models as well.
        Assert.NotEmpty(Traces.Of("Canary Works", rows.Where(row => row.StartsWith("events.mt_events", StringComparison.Ordinal))));
        Assert.Contains(rows, row => row.StartsWith("read.devices_v2", StringComparison.Ordinal));
        Assert.Contains(rows, row => row.StartsWith("read.audit_v1", StringComparison.Ordinal));
        Assert.NotEmpty(Traces.Of("/api/signup", log.Lines));
    }

    [Fact]
    public void A_text_is_found_in_every_form()
    {
        foreach (var before in new[] { "", "x", "xy", "xyz" })
        {
            var bytes = Encoding.UTF8.GetBytes($"{before}{Email}after");
            foreach (var form in new[] { Convert.ToBase64String(bytes), System.Buffers.Text.Base64Url.EncodeToString(bytes), Convert.ToHexString(bytes), $"{{\"email\":\"{Email.ToUpperInvariant()}\"}}" })
                Assert.Single(Traces.Of(Email, [form]));
        }
        Assert.Empty(Traces.Of(Email, [Convert.ToBase64String(Encoding.UTF8.GetBytes("somebody@else.example"))]));
    }

    private static void FinestLog(Dictionary<string, string?> settings)
    {
        // All but the framework's request entries, which hold query strings and which the server leaves out by itself.
        settings["Logging:LogLevel:Default"] = "Trace";
        // Heard by the test, not printed among its results.
        settings["Logging:Console:LogLevel:Default"] = "None";
        settings["Logging:Console:LogLevel:Microsoft.AspNetCore"] = "None";
        settings["Logging:Console:LogLevel:Npgsql"] = "None";
    }

    /// <summary>What a person does, and what goes wrong for them.</summary>
    private static async Task<(string Access, string Refresh)> Use(TestApi api)
    {
        var signUp = new { organization = new { name = "Canary Works", slug = "canary-works" }, email = Email, password = Password, name = Name };
        var (access, refresh) = await Tokens(await api.Client.PostAsJsonAsync("/api/signup", signUp));
        using var ada = api.As(access);
        ada.DefaultRequestHeaders.TryAddWithoutValidation("User-Agent", Agent);
        await Device(ada);
        using var renamed = await ada.PatchAsJsonAsync("/api/user", new { name = NewName });
        Assert.Equal((NewName, Email), ((await renamed.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("name").GetString(), (await ada.GetFromJsonAsync<JsonElement>("/api/user")).GetProperty("email").GetString()));
        await Tokens(await api.Client.PostAsJsonAsync("/api/auth/sign-in", new { organization = "canary-works", email = Email, password = Password }));
        using var invited = await ada.PostAsJsonAsync("/api/invitations", new { email = Guest, role = "member" });
        var token = (await invited.Content.ReadFromJsonAsync<JsonElement>()).GetProperty("token").GetString();
        await Tokens(await api.Client.PostAsJsonAsync("/api/invitations/accept", new { token, name = GuestName, password = Password }));
        await Suspend(ada);
        using var exchange = new HttpRequestMessage(HttpMethod.Post, "/api/auth/refresh") { Content = JsonContent.Create(new { refresh_token = refresh }) };
        exchange.Headers.Add("Idempotency-Key", "once");
        await Tokens(await api.Client.SendAsync(exchange));

        // Failures of every kind: what is refused is answered, and must not be told in the log.
        string[] failing =
        [
            JsonSerializer.Serialize(signUp), $$"""{"email":"{{Email}}","name":"{{Name}}","password":"{{Password}}","organization":7}""", $$"""{"email":"{{Email}}", {{Name}}""",
            $$"""{"email":"{{Email}}","email":"{{Email}}"}""", $$"""{"{{Email}}":"{{Name}}"}""", $$"""{"organization":{"name":"x","slug":"{{Email}}"},"email":"{{Name}}","password":"{{Password}}","name":"{{Name}}"}""",
        ];
        foreach (var body in failing)
            foreach (var path in new[] { "/api/signup", "/api/auth/sign-in", "/admin/auth/sign-in", "/api/auth/refresh", "/api/invitations/accept" })
                Assert.InRange((int)(await api.Client.PostAsync(path, new StringContent(body, Encoding.UTF8, "application/json"))).StatusCode, 400, 499);
        foreach (var body in failing) Assert.InRange((int)(await ada.PatchAsync("/api/user", new StringContent(body, Encoding.UTF8, "application/json"))).StatusCode, 400, 499);
        Assert.Equal(401, (int)(await api.Client.PostAsJsonAsync("/api/auth/sign-in", new { organization = "canary-works", email = Email, password = Name + Password })).StatusCode);
        Assert.Equal(400, (int)(await ada.GetAsync($"/api/devices?{Email}={Uri.EscapeDataString(Name)}")).StatusCode);

        // The trail shows the person their own agent, so it has got there.
        var positions = api.Services.GetRequiredService<Store.Positions>();
        var last = await api.Database.Scalar<long>("select max(seq_id) from events.mt_events");
        foreach (var model in ReadModels.All.All) Assert.True((await positions.Reached(model.Name, last, TimeSpan.FromSeconds(20), CancellationToken.None)).Reached);
        Assert.Contains(Agent, await ada.GetStringAsync("/api/audit-logs"), StringComparison.Ordinal);
        return (access, refresh);
    }

    /// <summary>People call a device after themselves, and say why they lost it.</summary>
    private static async Task Device(HttpClient ada)
    {
        var made = await Reply.To(ada, "POST", "/api/devices", new { name = Phone, type = "mobile" });
        Assert.Equal((201, Phone), (made.Status, made.Text("name")));
        var device = $"/api/devices/{made.Text("id")}";
        var taken = await Reply.To(ada, "POST", "/api/devices", new { name = Phone.ToUpperInvariant(), type = "web" });
        Assert.Equal((409, "device.name_taken"), (taken.Status, taken.Code));
        Assert.Equal(Pocket, (await Reply.To(ada, "PUT", $"{device}/name", new { name = Pocket })).Text("name"));
        Assert.Equal(Lost, (await Reply.To(ada, "PUT", $"{device}/revocation", new { reason = Lost })).Text("revocationReason"));
    }

    /// <summary>What an admin says of a member is the member's.</summary>
    private static async Task Suspend(HttpClient ada)
    {
        JsonElement guest = default;
        await Burst.Until("the guest is in the list", TimeSpan.FromSeconds(20), async () =>
            (guest = (await ada.GetFromJsonAsync<JsonElement>("/api/members")).GetProperty("items").EnumerateArray().SingleOrDefault(m => m.GetProperty("name").GetString() == GuestName)).ValueKind == JsonValueKind.Object);
        var suspended = await Reply.To(ada, "PUT", $"/api/members/{guest.GetProperty("id").GetString()}/suspension", new { reason = Leave });
        Assert.Equal(200, suspended.Status);
        var trail = (await Reply.Seen(ada, "/api/audit-logs?action=user.suspended", suspended.Position)).Json.GetProperty("items");
        Assert.Equal(Leave, trail[0].GetProperty("after").GetProperty("reason").GetString());
    }

    private static async Task<(string Access, string Refresh)> Tokens(HttpResponseMessage answer)
    {
        answer.EnsureSuccessStatusCode();
        var tokens = await answer.Content.ReadFromJsonAsync<JsonElement>();
        return (tokens.GetProperty("access_token").GetString()!, tokens.GetProperty("refresh_token").GetString()!);
    }
}
