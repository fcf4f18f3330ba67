using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Nubabel.Api.Consumers;
using Nubabel.Api.Host;
using Nubabel.Api.Tests.Slices;
using Nubabel.Domain;
using Nubabel.Domain.Consumers;
using Nubabel.Projections;
using Nubabel.Store;
using Nubabel.Testing;

namespace Nubabel.Api.Tests.Consumers;

/// <summary>
/// The public catalogue equals <c>docs/contracts/integration-events.json</c>: each type with its schema, and what the golden file of the stored event becomes.
/// So no public shape changes unnoticed. <c>NUBABEL_WRITE_CONTRACTS=1</c> rewrites the file.
/// </summary>
public sealed class CatalogueTests
{
    private static readonly JsonSerializerOptions Indented = new() { WriteIndented = true, NewLine = "\n", Encoder = StoredJson.Options.Encoder };

    [Fact]
    [Trait("Category", "Contract")]
    public void The_catalogue_is_the_one_in_the_contract()
    {
        var path = Repository.At("docs", "contracts", "integration-events.json");
        var today = new JsonObject(IntegrationEvents.All.OrderBy(e => e.Type, StringComparer.Ordinal).Select(e => KeyValuePair.Create(e.Type, (JsonNode?)new JsonObject
        {
            ["description"] = e.Description,
            ["schema"] = IntegrationEvents.SchemaOf(e),
            ["example"] = JsonSerializer.SerializeToNode(e.Map(Golden(e)), e.Shape, StoredJson.Options),
        }))).ToJsonString(Indented) + "\n";
        if (Environment.GetEnvironmentVariable("NUBABEL_WRITE_CONTRACTS") == "1") File.WriteAllText(path, today);
        Assert.True(File.Exists(path) && File.ReadAllText(path) == today, "The integration events have changed: ./dev contracts rewrites the file. Receivers rely on every member of it; what is not an addition needs a new version of the type.");
    }

    [Fact]
    public void Every_type_has_a_name_of_the_form_and_an_alias_that_is_stored()
    {
        Assert.All(IntegrationEvents.All, e => Assert.True(PublicType.TryParse(e.Type, out var type) && IntegrationEvents.Knows(type)));
        Assert.All(IntegrationEvents.All, e => Assert.NotNull(Events.Types.Find(e.Alias)));
        Assert.Equal(IntegrationEvents.All.Count, IntegrationEvents.All.Select(e => e.Type).Distinct().Count());
    }

    /// <summary>No member of the data is a secret's, or what a person is looked up by.</summary>
    [Fact]
    public void Nothing_of_a_secret_is_told() => Assert.DoesNotContain(
        IntegrationEvents.All.SelectMany(e => e.Shape.GetProperties()),
        p => p.Name.Contains("Hash", StringComparison.Ordinal) || p.Name.Contains("Secret", StringComparison.Ordinal) || p.Name == "EmailKey");

    [Fact]
    public async Task Everybody_who_sees_consumers_sees_the_catalogue()
    {
        var acme = await (await TestApi.Shared).SignUp();
        var types = (await acme.Client.GetAsync("/api/consumers/event-types").Json()).GetProperty("items");
        Assert.Equal(IntegrationEvents.All.Count, types.GetArrayLength());
        var joined = types.EnumerateArray().Single(t => t.Text("type") == "nubabel.member.joined.v1").GetProperty("schema");
        Assert.Equal(["userId", "role", "email", "name"], joined.GetProperty("properties").EnumerateObject().Select(p => p.Name));
        Assert.Equal("""["string","null"]""", joined.GetProperty("properties").GetProperty("email").GetProperty("type").GetRawText());
    }

    private static Recorded Golden(IntegrationEvent e)
    {
        var golden = GoldenEvents.All.Where(g => g.Alias == e.Alias && g.Variant is null).MaxBy(g => g.Shape)!;
        return new Recorded
        {
            Position = 42,
            Tenant = "acme",
            Stream = "kind-01936d5e-7c2a-7b1e-9d3f-2f6a1c0b4e55",
            Version = 1,
            Type = e.Alias,
            At = default,
            Id = Guid.Empty,
            Data = Events.Types.Read(e.Alias, Encoding.UTF8.GetBytes(golden.Json), golden.Shape),
        };
    }
}
