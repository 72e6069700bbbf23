// SPDX-License-Identifier: Apache-2.0
#include "reproduce/report/report.hpp"

#include <cctype>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "gdssm/version.hpp"

namespace gdssm::reproduce {
namespace {

constexpr std::string_view style = R"(
:root { color-scheme: light dark; --ink: #1f2328; --paper: #ffffff; --line: #d0d7de; --faint: #59636e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6edf3; --paper: #0d1117; --line: #3d444d; --faint: #9198a1; }
}
body { margin: 2rem auto; max-width: 50rem; padding: 0 1rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.6 system-ui, sans-serif; }
h1, h2 { line-height: 1.25; }
h2 { margin-top: 3rem; border-bottom: 1px solid var(--line); padding-bottom: 0.3rem; }
a { color: inherit; }
.faint, figcaption, caption { color: var(--faint); }
figure { margin: 2rem 0; }
figure svg { display: block; width: 100%; height: auto; background: #ffffff; border-radius: 6px; }
figcaption { margin-top: 0.5rem; font-size: 0.9rem; }
.wide { overflow-x: auto; margin: 2rem 0; }
table { border-collapse: collapse; font-size: 0.9rem; font-variant-numeric: tabular-nums; }
caption { caption-side: top; text-align: left; padding-bottom: 0.4rem; }
th, td { padding: 0.2rem 0.8rem; border-bottom: 1px solid var(--line); text-align: right; }
th { vertical-align: bottom; }
th:first-child, td:first-child, .words { text-align: left; }
th:first-child, td:first-child { padding-left: 0; }
)";

void replace_all(std::string& text, std::string_view from, const std::string& to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
}

std::string escaped(std::string text) {
  replace_all(text, "&", "&amp;");
  replace_all(text, "<", "&lt;");
  replace_all(text, ">", "&gt;");
  replace_all(text, "\"", "&quot;");
  return text;
}

/// Whether a column is of words, which begin at the left; numbers end at the right.
std::vector<bool> are_words(const Table& table) {
  std::vector<std::size_t> letters(table.columns.size());  // rows that begin with one
  for (const auto& row : table.rows)
    for (std::size_t i = 0; i < row.size(); ++i)
      letters[i] += !row[i].empty() && std::isalpha(static_cast<unsigned char>(row[i].front()));
  std::vector<bool> words;
  for (const std::size_t count : letters) words.push_back(2 * count > table.rows.size());
  return words;
}

std::string cells(const std::string& element, const std::vector<std::string>& texts, const std::vector<bool>& words) {
  std::string row = "<tr>";
  for (std::size_t i = 0; i < texts.size(); ++i)
    row += "<" + element + (words[i] ? " class=\"words\">" : ">") + escaped(texts[i]) + "</" + element + ">";
  return row + "</tr>\n";
}

std::string to_html(const Paragraph& paragraph) { return "<p>" + escaped(paragraph.text) + "</p>\n"; }

std::string to_html(const Table& table) {
  const std::vector<bool> words = are_words(table);
  std::string text = "<div class=\"wide\"><table>\n<caption>" + escaped(table.caption) + "</caption>\n<thead>" +
                     cells("th", table.columns, words) + "</thead>\n<tbody>\n";
  for (const auto& row : table.rows) text += cells("td", row, words);
  return text + "</tbody>\n</table></div>\n";
}

/// An SVG document inside another document: without prolog, and its ids its own.
std::string to_html(const std::string& name, const std::string& caption, std::string svg) {
  svg.erase(0, svg.find("<svg"));
  for (const char* const before : {"id='", "id=\"", "href='#", "url(#"}) replace_all(svg, before, before + name + "-");
  svg.insert(svg.find("<svg") + 4, R"( role="img" aria-label=")" + escaped(caption) + '"');
  return "<figure>\n" + svg + "<figcaption>" + escaped(caption) + "</figcaption>\n</figure>\n";
}

}  // namespace

void Report::add(const Experiment& experiment, const Result& result, const std::vector<std::string>& drawn) {
  const std::string name = escaped(experiment.name), title = escaped(experiment.title);
  contents_ += "<li><a href=\"#" + name + "\">" + title + "</a></li>\n";
  body_ += "<section id=\"" + name + "\">\n<h2>" + title + "</h2>\n" + to_html(result.overview);
  summaries_[experiment.name] = result.summary;
  auto svg = drawn.begin();
  for (const auto& item : result.section)
    std::visit(
        [&](const auto& part) {
          if constexpr (requires { to_html(part); })
            body_ += to_html(part);
          else
            body_ += to_html(part.name, part.caption, *svg++);
        },
        item);
  body_ += "</section>\n";
}

std::string Report::html() const {
  const std::string seeds = options_.seeds == 1 ? "seed " + std::to_string(options_.seed)
                                                : "seeds " + std::to_string(options_.seed) + " to " +
                                                      std::to_string(options_.seed_of(options_.seeds - 1));
  return "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
         "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n"
         "<title>gdssm: state-space models that learn in context by gradient descent</title>\n<style>" +
         std::string(style) +
         "</style>\n</head>\n<body>\n<h1>State-space models that learn in context by gradient descent</h1>\n"
         "<p>Experiments of <a href=\"https://arxiv.org/abs/2410.11687v1\">arXiv:2410.11687v1</a>, reproduced by "
         "gdssm " +
         std::string(version) + " with " + seeds + (options_.quick ? ", in the quick form (fewer tasks)" : "") +
         ". Equation numbers are those of docs/theory.md.</p>\n" + (claims().rows.empty() ? "" : to_html(claims())) +
         "<ul>\n" + contents_ + "</ul>\n" + body_ + "</body>\n</html>\n";
}

}  // namespace gdssm::reproduce
