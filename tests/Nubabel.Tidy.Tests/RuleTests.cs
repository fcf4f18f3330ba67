namespace Nubabel.Tidy.Tests;

/// <summary>A rule that cannot fail proves nothing: each one on a sample that breaks it and on one that does not.</summary>
public sealed class RuleTests
{
    [Theory]
    [InlineData("src/Nubabel.Api/A.cs", "var t = DateTime.UtcNow;")]
    [InlineData("src/Nubabel.Api/A.cs", "var t = DateTimeOffset.Now;")]
    [InlineData("src/Nubabel.Api/A.cs", "Log($\"at {DateTime.Now}\");")]
    [InlineData("src/Nubabel.Api/A.cs", "Thread.Sleep(1);")]
    [InlineData("src/Nubabel.Api/A.cs", "var x = Load().Result;")]
    [InlineData("src/Nubabel.Api/A.cs", "Load().Wait();")]
    [InlineData("src/Nubabel.Api/A.cs", "Load().GetAwaiter().GetResult();")]
    [InlineData("src/Nubabel.Api/A.cs", "async void Go() { }")]
    [InlineData("src/Nubabel.Domain/A.cs", "var id = Guid.NewGuid();")]
    [InlineData("src/Nubabel.Domain/A.cs", "var id = Guid.CreateVersion7();")]
    [InlineData("src/Nubabel.Domain/A.cs", "var x = Random.Shared.Next();")]
    [InlineData("src/Nubabel.Domain/A.cs", "var x = File.ReadAllText(path);")]
    [InlineData("src/Nubabel.Domain/A.cs", "Task Go() => x;")]
    [InlineData("src/Nubabel.Domain/A.cs", "var now = TimeProvider.System;")]
    public void A_banned_call_is_found(string path, string code) => Assert.Single(Rules.Calls(new Source(path, code)));

    [Theory]
    [InlineData("src/Nubabel.Api/A.cs", "// not DateTime.UtcNow")]
    [InlineData("src/Nubabel.Api/A.cs", "var s = \"DateTime.UtcNow\";")]
    [InlineData("src/Nubabel.Api/A.cs", "await gate.WaitAsync(); entered.Wait(timeout);")]
    [InlineData("src/Nubabel.Api/A.cs", "context.Result = next; Answer.Result(x);")]
    [InlineData("src/Nubabel.Api/A.cs", "var id = Guid.CreateVersion7(at);")]
    [InlineData("src/Nubabel.Domain/A.cs", "var at = context.Now;")]
    public void What_only_looks_like_one_is_not(string path, string code) => Assert.Empty(Rules.Calls(new Source(path, code)));

    [Theory]
    [InlineData("await Task.Delay(100);", 1)]
    [InlineData("while (!done) await Task.Delay(10);", 1)]
    [InlineData("while (!done && clock.Elapsed < limit) await Task.Delay(10);", 0)]
    [InlineData("using var deadline = new CancellationTokenSource(1000); while (!done) await Task.Delay(10, deadline.Token);", 0)]
    [InlineData("await Task.Delay(Timeout.Infinite, stopped);", 0)]
    public void A_blind_delay_is_found(string body, int found) =>
        Assert.Equal(found, Rules.Delays(new Source("tests/A.cs", $"class A {{ async Task B() {{ {body} }} }}")).Count());

    [Theory]
    [InlineData("src/Nubabel.Api/Members/A.cs", "var db = node.Reader(tenant);", 1)]
    [InlineData("src/Nubabel.Api/Members/A.cs", "var name = await node.Open(tenant, value, ct);", 1)]
    [InlineData("src/Nubabel.Api/Members/A.cs", "var db = scope.ReaderOf(tenant);", 0)]
    [InlineData("src/Nubabel.Api/Commands/A.cs", "var db = node.Reader(tenant);", 0)]
    public void A_read_that_nobody_hears_of_is_found(string path, string code, int found) => Assert.Equal(found, Rules.SilentReads(new Source(path, code)).Count());

    [Theory]
    [InlineData("src/A.cs", "class StringHelper { }")]
    [InlineData("src/A.cs", "public sealed record DeviceDto(int A);")]
    [InlineData("src/A.cs", "internal static class HttpUtil { }")]
    [InlineData("src/A.cs", "interface IDeviceService { }")]
    [InlineData("src/A.cs", "sealed class JournalImpl : X { }")]
    [InlineData("src/Common/A.cs", "class A { }")]
    [InlineData("src/Nubabel.Shared/A.cs", "class A { }")]
    public void A_name_that_says_nothing_is_found(string path, string code) => Assert.Single(Rules.Names(new Source(path, code)));

    [Theory]
    [InlineData("class Implementation { }")]
    [InlineData("class Serviceability { }")]
    [InlineData("class A { object TestDatabase => Shared; }")]
    [InlineData("// class Helper")]
    public void A_name_that_says_something_is_not(string code) => Assert.Empty(Rules.Names(new Source("src/A.cs", code)));

    [Fact]
    public void A_long_file_is_found()
    {
        Assert.Empty(Rules.Sizes(new Source("src/A.cs", new string('\n', 300))));
        Assert.Single(Rules.Sizes(new Source("src/A.cs", new string('\n', 301))));
    }

    [Theory]
    [InlineData("class A\n{\n    void B()\n    {\n#\n    }\n}", 47)]
    [InlineData("record A(int X)\n{\n    int B(int x) => x switch\n    {\n#\n    };\n}", 47)]
    [InlineData("static class A\n{\n    extension(B b)\n    {\n        void C()\n        {\n#\n        }\n    }\n}", 47)]
    [InlineData("class A\n{\n    class B<T> where T : class\n    {\n        B()\n        {\n#\n        }\n    }\n}", 47)]
    public void A_long_member_is_found(string code, int most)
    {
        Source With(int lines) => new("src/A.cs", code.Replace("#", string.Join('\n', Enumerable.Repeat("        if (x) { y(); }", lines)), StringComparison.Ordinal));
        Assert.Empty(Rules.Sizes(With(most)));
        Assert.Single(Rules.Sizes(With(most + 1)));
    }

    [Theory]
    [InlineData("public sealed record A;", 1)]
    [InlineData("public static partial class A { }", 1)]
    [InlineData("// no summary\npublic enum A { }", 1)]
    [InlineData("/// <summary>Is.</summary>\npublic enum A { }", 0)]
    [InlineData("/// <summary>Is.</summary>\n[B(typeof(C))]\npublic sealed record A;", 0)]
    [InlineData("internal sealed record A;", 0)]
    [InlineData("public sealed record Evident;", 0)]
    [InlineData("namespace X;\n\npublic readonly record struct A(int B);", 1)]
    public void A_public_type_without_a_summary_is_found(string code, int found) =>
        Assert.Equal(found, Rules.Summaries([new Source("src/A.cs", code)], name => name == "Evident").Count());

    [Theory]
    [InlineData("create index a on b (c);", 1)]
    [InlineData("create table b (c int);\ncreate unique index a on b (c);", 1)]
    [InlineData("-- Finds by c.\ncreate index a on b (c);", 0)]
    public void An_index_without_a_reason_is_found(string sql, int found) => Assert.Equal(found, Rules.Indexes(new Source("a.sql", sql)).Count());

    [Theory]
    [InlineData("src/Nubabel.Api/Devices/DevicesApi.cs", "PlatformReader reader", 1)]
    [InlineData("src/Nubabel.Api/Devices/DevicesApi.cs", "database.Daemon.Open()", 1)]
    [InlineData("src/Nubabel.Api/Operators/OperatorsApi.cs", "PlatformReader reader", 0)]
    [InlineData("src/Nubabel.Api/Admin/AdminApi.cs", "PlatformReader reader", 0)]
    [InlineData("src/Nubabel.Api/Commands/Verbs.cs", "database.Daemon.Open()", 0)]
    [InlineData("src/Nubabel.Api/Devices/DevicesApi.cs", "// no PlatformReader here", 0)]
    public void Access_to_all_tenants_is_found_in_a_tenants_slice(string path, string code, int found) =>
        Assert.Equal(found, Rules.PlatformAccess(new Source(path, code)).Count());

    [Theory]
    [InlineData("[a](b.md)", "docs/b.md")]
    [InlineData("[a](../README.md#x)", "README.md")]
    [InlineData("[a](adr/0001-x.md \"title\")", "docs/adr/0001-x.md")]
    public void A_link_is_followed(string text, string target)
    {
        Assert.Empty(Rules.Links(new Source("docs/a.md", text), path => path == target));
        Assert.Single(Rules.Links(new Source("docs/a.md", text), _ => false));
    }

    [Theory]
    [InlineData("[a](https://example.com/x)")]
    [InlineData("[a](#here)")]
    [InlineData("`[a](b.md)`")]
    [InlineData("```\n[a](b.md)\n```")]
    public void What_is_no_link_into_the_repository_is_left_alone(string text) => Assert.Empty(Rules.Links(new Source("docs/a.md", text), _ => false));
}
