using System.Globalization;
using System.Text;

namespace Nubabel.Api.Host;

/// <summary>The text of <c>docs/authorization.md</c>: who may what, from the table of permissions and the routes themselves.</summary>
public static class PermissionsPage
{
    private const string Head = """
        # Who may what

        Every operation asks for one permission, and none for a role. A user's role gives permissions as the table says; an API key holds those it was made with (its scopes), out of
        the column *key*; operators have a realm of their own. A caller without the permission gets 403 `permission.denied`, whose `required` names it; whoever has no valid
        credential gets 401. A token says only who calls: role, suspension, removal and the organization's state are looked up as they are now, so a change of them counts
        on every node within a second, for tokens that are already issued too.

        This page is generated from `src/Nubabel.Api/Host/Permissions.cs` and the routes; `GET /api/permissions` serves the same table. A test tries every role, a key with each
        scope, an operator and nobody on every operation.


        """;

    public static string Markdown(IReadOnlyList<(string Operation, Access Access)> routes)
    {
        var text = new StringBuilder(Head);
        Table(text, "In an organization", "organization", [.. Permissions.Roles.Where(r => r != Permissions.Operator)], p => !IsPlatform(p.Name));
        Table(text, "On the platform", "platform", [Permissions.Operator], p => IsPlatform(p.Name));
        Operations(text, routes);
        return text.ToString();
    }

    private static bool IsPlatform(string permission) => permission.StartsWith("platform:", StringComparison.Ordinal);

    private static void Table(StringBuilder text, string title, string realm, string[] roles, Func<Permission, bool> of)
    {
        text.Append(CultureInfo.InvariantCulture, $"## {title}\n\n| permission | its holder may | {string.Join(" | ", roles)} | key |\n|---|---|{string.Concat(roles.Select(_ => "---|"))}---|\n");
        foreach (var permission in Permissions.All.Where(of))
            text.Append(CultureInfo.InvariantCulture, $"| `{permission.Name}` | {permission.Allows} | {string.Join(" | ", roles.Select(r => Mark(permission.Roles.Contains(r))))} | {Mark(permission.ForKeys)} |\n");
        text.Append(CultureInfo.InvariantCulture, $"\n*key*: an API key of the {realm} can hold it.\n\n");
    }

    private static void Operations(StringBuilder text, IReadOnlyList<(string Operation, Access Access)> routes)
    {
        text.Append("## Operations\n\n| operation | needs |\n|---|---|\n");
        foreach (var (operation, access) in routes.OrderBy(r => r.Operation.Split(' ')[1], StringComparer.Ordinal).ThenBy(r => r.Operation, StringComparer.Ordinal))
            text.Append(CultureInfo.InvariantCulture, $"| `{operation}` | {Needs(access)} |\n");
    }

    private static string Needs(Access access) =>
        access.Permission is not { } needed ? "nothing: open to anybody" : access.OnOneself is { } own ? $"`{needed}`, on oneself `{own}`" : access.Or is { } wider ? $"`{needed}` or `{wider}`" : $"`{needed}`";

    private static string Mark(bool holds) => holds ? "yes" : "";
}
