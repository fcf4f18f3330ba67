using System.Text.Json;
using Nubabel.Api.Tests.Races;
using Nubabel.Api.Tests.Slices;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.ProcessingRecords;

/// <summary>The record of processing activities, over the wire.</summary>
public sealed class ProcessingRecordsTests
{
    private const string Own = "/api/processing-records", Platform = "/api/admin/processing-records";

    [Fact]
    public async Task A_record_is_kept_with_all_that_it_ever_said()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var made = await Reply.To(acme.Client, "POST", Own, Record("Accounts", "Ada Lovelace, 555"));
        Assert.Equal((201, "Ada Lovelace, 555", 1), (made.Status, made.Text("contact"), made.Json.GetProperty("revision").GetInt32()));
        var revised = await Reply.To(acme.Client, "PUT", made.Location!, Record("Accounts of members", "Grace"), ifMatch: made.ETag);
        Assert.Equal((412, "resource.version_mismatch"), await Reply.To(acme.Client, "PUT", made.Location!, Record("Other"), ifMatch: made.ETag) is var late ? (late.Status, late.Code) : default);
        Assert.Equal(made.Body, (await Reply.To(acme.Client, "GET", $"{made.Location}?at={made.Position}")).Body);
        Assert.Equal(revised.Body, (await Reply.To(acme.Client, "GET", made.Location!)).Body);
        var history = await acme.Client.Items($"{made.Location}/history");
        Assert.Equal(["Grace", "Ada Lovelace, 555"], history.Select(h => h.GetProperty("change").GetProperty("description").Text("contact")));
        var archived = await Reply.To(acme.Client, "DELETE", made.Location!);
        Assert.Empty(await acme.Client.Items(Own, archived.Position));
        Assert.Equal("Accounts of members", Assert.Single(await acme.Client.Items($"{Own}?archived=true", archived.Position)).Text("name"));
        Assert.Equal((409, "processing_record.archived"), await Reply.To(acme.Client, "PUT", made.Location!, Record("B")) is var shut ? (shut.Status, shut.Code) : default);
        Assert.Equal("active", (await Reply.To(acme.Client, "PUT", $"{made.Location}/restoration")).Text("status"));
        Assert.Equal((422, "processing_record.invalid"), await Reply.To(acme.Client, "POST", Own, Record("B", role: "processor")) is var whose ? (whose.Status, whose.Code) : default);
    }

    [Fact]
    public async Task The_platform_has_its_own_and_neither_sees_the_others()
    {
        var api = await TestApi.Shared;
        var (acme, other) = (await api.SignUp(), await api.SignUp());
        using var platform = await api.Operator();
        var name = $"Hosting {Guid.NewGuid():N}";
        var made = await Reply.To(platform, "POST", Platform, Record(name));
        var own = await Reply.To(acme.Client, "POST", Own, Record("Accounts"));
        Assert.StartsWith($"{Platform}/", made.Location, StringComparison.Ordinal);
        Assert.Contains(await platform.Items($"{Platform}?limit=200", own.Position), r => r.Text("name") == name);
        Assert.Equal(["Accounts"], (await acme.Client.Items(Own, own.Position)).Select(r => r.Text("name")));
        Assert.Empty(await other.Client.Items(Own, own.Position));
        Assert.Equal(404, (await Reply.To(other.Client, "GET", own.Location!)).Status);
        Assert.Equal(404, (await Reply.To(acme.Client, "GET", $"{Own}/{made.Text("id")}")).Status);
        var member = await acme.Colleague();
        Assert.Equal((403, "permission.denied"), await Reply.To(member.Client, "GET", Own) is var denied ? (denied.Status, denied.Code) : default);
    }

    /// <summary>What is suggested can be sent as it is.</summary>
    [Fact]
    public async Task Templates_are_records()
    {
        var api = await TestApi.Shared;
        var acme = await api.SignUp();
        using var platform = await api.Operator();
        foreach (var (client, path) in new[] { (acme.Client, Own), (platform, Platform) })
        {
            var templates = (await Reply.To(client, "GET", $"{path}/templates")).Json.GetProperty("items").EnumerateArray().ToArray();
            Assert.InRange(templates.Length, 4, 20);
            foreach (var template in templates) Assert.Equal(201, (await Reply.To(client, "POST", path, template)).Status);
        }
    }

    [Fact]
    public async Task The_records_are_handed_over_as_json_lines_and_a_table()
    {
        var acme = await (await TestApi.Shared).SignUp();
        await Reply.To(acme.Client, "POST", Own, Record("=Accounts", "Ada"));
        var gone = await Reply.To(acme.Client, "POST", Own, Record("Backups"));
        var last = await Reply.To(acme.Client, "DELETE", gone.Location!);
        var json = JsonElement.Parse(await acme.Client.Text($"{Own}/export", last.Position));
        Assert.Equal(["=Accounts active", "Backups archived"], json.EnumerateArray().Select(r => $"{r.Text("name")} {r.Text("status")}"));
        Assert.Equal(2, (await acme.Client.Text($"{Own}/export?format=ndjson", last.Position)).TrimEnd('\n').Split('\n').Length);
        var csv = (await acme.Client.Text($"{Own}/export?format=csv", last.Position)).Split("\r\n");
        Assert.StartsWith("id,status,revision,name,role,", csv[0], StringComparison.Ordinal);
        Assert.Contains(",active,1,'=Accounts,controller,,contract,work,members,name,,United States: mail (clauses),a year,accounts,TLS,Ada,", csv[1], StringComparison.Ordinal);
        Assert.Equal("query.invalid", (await Reply.To(acme.Client, "GET", $"{Own}/export?format=pdf")).Code);
        using var bundle = await acme.Client.GetAsync("/api/user/data-export");
        Assert.DoesNotContain("processingRecords", await bundle.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    private static object Record(string name, string? contact = null, string role = "controller") => new
    {
        name, role, purposes = new[] { "work" }, peopleCategories = new[] { "members" }, dataCategories = new[] { "name" }, recipients = Array.Empty<string>(),
        transfers = new[] { new { country = "United States", recipient = "mail", safeguards = "clauses" } }, retention = new { text = "a year", category = "accounts" }, securityMeasures = new[] { "TLS" }, contact,
        lawfulBasis = "contract",
    };
}
