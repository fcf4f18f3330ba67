using System.Text;
using Nubabel.Testing;

namespace Nubabel.Store.Tests.Personal;

/// <summary>Personal values are opened wherever they stand in a text, and nothing else is touched.</summary>
public sealed class UnsealingTests
{
    private readonly string tenant = Guid.NewGuid().ToString();

    [Fact]
    public async Task Values_are_opened_at_any_depth()
    {
        var keys = await Keys();
        var (ada, bob, gone) = (await Sealed(keys, "user-a", "Ada \"λ\" <b>"), await Sealed(keys, "user-b", "Bob"), """{"$p":1,"s":"user-nobody","c":"AAAA"}""");
        Assert.Equal(
            """{"a":"Ada \"λ\" <b>","n":{"list":[1,"Bob",{"deep":["Ada \"λ\" <b>",null]},[[]]],"e":{}},"x":null,"f":1.50,"t":true}""",
            await Opened(keys, $$$"""{"a":{{{ada}}},"n":{"list":[1,{{{bob}}},{"deep":[{{{ada}}},{{{gone}}}]},[[]]],"e":{}},"x":null,"f":1.50,"t":true}"""));
        Assert.Equal("\"Bob\"", await Opened(keys, bob));
        Assert.Equal("""["Bob",null]""", await Opened(keys, $"[{bob},{gone}]"));
    }

    [Fact]
    public async Task The_order_of_a_values_members_does_not_matter()
    {
        var keys = await Keys();
        // As jsonb keeps them.
        var cipher = await keys.Seal(tenant, "user-a", "Ada", default);
        Assert.Equal("\"Ada\"", await Opened(keys, $$"""{"c": "{{cipher}}", "s": "user-a", "$p": 1}"""));
    }

    [Theory]
    [InlineData("""{"$p":2,"s":"user-a","c":"AAAA"}""")]
    [InlineData("""{"$p":1.5,"s":"user-a","c":"AAAA"}""")]
    [InlineData("""{"$p":99999999999,"s":"user-a","c":"AAAA"}""")]
    [InlineData("""{"$p":"1","s":"user-a","c":"AAAA"}""")]
    [InlineData("""{"$p":1,"s":"user-a"}""")]
    [InlineData("""{"$p":1,"s":5,"c":"AAAA"}""")]
    [InlineData("""{"$p":1,"s":"user-a","c":null}""")]
    [InlineData("""["$p"]""")]
    [InlineData("""{"text":"\"$p\":1"}""")]
    public async Task What_only_looks_like_one_stays_as_it_is(string json) => Assert.Equal(json, await Opened(await Keys(), json));

    [Fact]
    public async Task A_text_without_personal_values_goes_out_as_the_same_bytes()
    {
        ReadOnlyMemory<byte> json = Encoding.UTF8.GetBytes("""{ "a" : 1e2 }""");
        Assert.Equal(json, await Unsealing.Open(await Keys(), tenant, json, default));
    }

    private static async Task<SubjectKeys> Keys() => new((await TestDatabase.Shared).Database, TestDatabase.Master);

    private async Task<string> Sealed(SubjectKeys keys, string subject, string plain) => $$"""{"$p":1,"s":"{{subject}}","c":"{{await keys.Seal(tenant, subject, plain, default)}}"}""";

    private async Task<string> Opened(SubjectKeys keys, string json) => Encoding.UTF8.GetString((await Unsealing.Open(keys, tenant, Encoding.UTF8.GetBytes(json), default)).Span);
}
